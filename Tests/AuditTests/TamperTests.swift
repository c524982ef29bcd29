import Foundation
import LogFixtures
import Policy
import Testing

@testable import Audit

@Suite("Tampering is found and named")
struct TamperTests {
  let scratch: Scratch
  /// The lines of a good log of three runs.
  let good: [[UInt8]]

  init() throws {
    scratch = try Scratch()
    for _ in 0..<3 {
      let log = try AuditLog.open(scratch.options())
      for flow in 1...5 { log.append(.decision(decision(flow: UInt64(flow)))) }
      log.close()
    }
    good = scratch.lines()
    #expect(try scratch.verify().isIntact)
  }

  func verify(_ lines: [[UInt8]]) throws -> Verification {
    scratch.write(Array(lines.joined(separator: [UInt8(ascii: "\n")])) + [UInt8(ascii: "\n")])
    return try scratch.verify()
  }

  @Test("AUD-08: one flipped bit, anywhere in the log, is found at its line")
  func flippedByte() throws {
    var generator = Seeded(state: 8)
    for index in good.indices {
      for _ in 0..<12 {
        var lines = good
        let offset = Int.random(in: 0..<lines[index].count, using: &generator)
        lines[index][offset] ^= 1 << UInt8.random(in: 0..<8, using: &generator)
        guard lines[index][offset] != UInt8(ascii: "\n") else { continue }
        let first = try #require(try verify(lines).findings.first, "line \(index + 1), byte \(offset)")
        #expect(first.line == index + 1 && first.file == scratch.log)
      }
    }
  }

  @Test("AUD-08: a deleted line is found at its place", arguments: 0..<26)
  func deleted(index: Int) throws {
    var lines = good
    lines.remove(at: index)
    let first = try #require(try verify(lines).findings.first)
    #expect(first.line == index + 1 && first.sequence == UInt64(index + 2))
    let expected: Verification.Problem = .missing(from: UInt64(index + 1), to: UInt64(index + 1))
    #expect(first.problem == expected)
  }

  @Test("AUD-08: two swapped lines are found at the first of them", arguments: 0..<26)
  func swapped(index: Int) throws {
    var lines = good
    lines.swapAt(index, index + 1)
    let findings = try verify(lines).findings
    #expect(
      findings.contains { $0.problem == .outOfOrder(expected: UInt64(index + 3)) && $0.line == index + 2 })
    #expect(findings.first?.line == index + 1)
  }

  @Test("AUD-08: a cut tail is found against the head file", arguments: 1..<27)
  func truncated(kept: Int) throws {
    let result = try verify(Array(good[..<kept]))
    #expect(result.findings.first?.problem == .truncated(signed: 27))
    #expect(result.findings.first?.sequence == UInt64(kept))
  }

  @Test("AUD-08: an older copy put back is found, and stays found after the log was opened again")
  func olderCopy() throws {
    let old = Array(good[..<16])
    #expect(try verify(old).findings.first?.problem == .truncated(signed: 27))
    let log = try AuditLog.open(scratch.options())
    log.close()
    let result = try scratch.verify()
    #expect(result.findings.map(\.problem) == [.missing(from: 17, to: 27)])
    #expect(result.findings.first?.line == 17)
    #expect(try scratch.records().contains { $0.ownText("detail")?.contains("17 to 27 are missing") == true })
  }

  @Test("AUD-08: a log that was removed as a whole leaves its gap")
  func removed() throws {
    try FileManager.default.removeItem(atPath: scratch.log)
    try AuditLog.open(scratch.options()).close()
    #expect(try scratch.records().first?.sequence == 28)
    #expect(try scratch.records().first?.ownText("detail")?.contains("1 to 27 are missing") == true)
    #expect(try scratch.verify().firstSequence == 28)
  }

  @Test("AUD-08: a chain rewritten from a changed record on lacks the key's signature")
  func rewritten() throws {
    var state = ChainState(head: .genesis)
    let foreign = SigningKey()
    for flow in 1...30 {
      var json = JSONWriter()
      Record.decision(decision("evil.example.test", flow: UInt64(flow))).encode(into: &json)
      _ = state.append(.decision(decision()), fields: json.bytes)
    }
    state.appendCheckpoint(key: foreign, at: Timestamp(milliseconds: 0))
    scratch.write(state.pending.bytes)
    let problems = try scratch.verify().findings.map(\.problem)
    #expect(problems == [.notTheSignedOne, .foreignKey])
    scratch.write(
      try #require(HeadFile(state.head, time: Timestamp(milliseconds: 0), key: foreign)).encoded,
      to: "audit.jsonl.head")
    #expect(try scratch.verify().findings.map(\.problem) == [.foreignKey, .headOfForeignKey])
  }

  @Test("AUD-08: a checkpoint with a wrong signature, or too few of them, is found")
  func signatures() throws {
    var state = ChainState(head: .genesis), json = JSONWriter()
    Record.decision(decision()).encode(into: &json)
    for _ in 0..<5000 {
      _ = state.append(.decision(decision()), fields: json.bytes)
      if state.pending.bytes.count > 1 << 19 { break }
    }
    #expect(state.head.sequence < 5000)
    let key = try KeyStore.load(scratch.log + ".key")
    state.appendCheckpoint(key: key, at: Timestamp(milliseconds: 0))
    let end = state.head
    var text = String(decoding: state.pending.bytes, as: UTF8.self)
    scratch.write(Array(text.utf8))
    scratch.write(
      try #require(HeadFile(end, time: Timestamp(milliseconds: 0), key: key)).encoded, to: "audit.jsonl.head")
    #expect(try scratch.verify().isIntact)
    let mark = try #require(text.range(of: #""signature":""#)?.upperBound)
    text.replaceSubrange(mark...mark, with: text[mark] == "0" ? "1" : "0")
    scratch.write(Array(text.utf8))
    #expect(try scratch.verify().findings.map(\.problem) == [.wrongHash, .wrongSignature])
  }

  @Test("AUD-08: the head file cannot be taken away, spoilt or forged unnoticed")
  func headFile() throws {
    let name = "audit.jsonl.head", content = scratch.read(name)
    try FileManager.default.removeItem(atPath: scratch.path + "/" + name)
    #expect(try scratch.verify().findings.map(\.problem) == [.headMissing])
    scratch.write(Array("{}".utf8), to: name)
    #expect(try scratch.verify().findings.map(\.problem) == [.headUnreadable])
    let text = String(decoding: content, as: UTF8.self).replacing(#""seq":27"#, with: #""seq":20"#)
    scratch.write(Array(text.utf8), to: name)
    #expect(try scratch.verify().findings.map(\.problem) == [.headWronglySigned])
    scratch.write(content, to: name)
    #expect(try scratch.verify().isIntact)
  }

  @Test("a line that was put in, a duplicate and a torn line are named")
  func inserted() throws {
    var lines = good
    lines.insert(Array(#"{"seq":4}"#.utf8), at: 3)
    #expect(try verify(lines).findings.first?.description == "\(scratch.log):4: the line is not a record")
    lines[3] = good[2]
    #expect(try verify(lines).findings.first?.problem == .outOfOrder(expected: 4))
    lines[3] = [UInt8](repeating: 0x61, count: 200_000)
    #expect(try verify(lines).findings.map(\.problem) == [.notARecord])
    scratch.write(scratch.read() + good[4].prefix(50))
    #expect(try scratch.verify().tornBytes == 50)
  }
}
