import Foundation
import LogFixtures
import Policy
import Testing

@testable import Audit

@Suite("What was shipped proves the log")
struct CheckpointTests {
  let scratch: Scratch
  let good: [[UInt8]]
  let key: SigningKey

  init() throws {
    scratch = try Scratch()
    for _ in 0..<3 {
      let log = try AuditLog.open(scratch.options())
      for flow in 1...5 { log.append(.decision(decision(flow: UInt64(flow)))) }
      log.close()
    }
    good = scratch.lines()
    key = try KeyStore.load(scratch.log + ".key")
  }

  var checkpoints: [String] {
    good.filter { CheckpointLine($0) != nil }.map { String(decoding: $0, as: UTF8.self) }
  }

  func verify(_ shipped: String, key: VerifyingKey? = nil) throws -> Verification {
    scratch.write(Array(shipped.utf8), to: "shipped")
    return try LogVerifier(path: scratch.log, key: key).verify(
      againstCheckpointsIn: scratch.path + "/shipped")
  }

  /// A log of `count` records written from scratch, and its head, signed by the log's own key.
  func forge(_ count: Int, by signer: SigningKey) throws {
    var state = ChainState(head: .genesis)
    for flow in 1..<count {
      var json = JSONWriter()
      Record.decision(decision("evil.example.test", flow: UInt64(flow))).encode(into: &json)
      _ = state.append(.decision(decision()), fields: json.bytes)
    }
    state.appendCheckpoint(key: signer, at: Timestamp(milliseconds: 0))
    scratch.write(state.pending.bytes)
    let head = try #require(HeadFile(state.head, time: Timestamp(milliseconds: 0), key: signer))
    scratch.write(head.encoded, to: "audit.jsonl.head")
  }

  @Test("AUD-08: checkpoints are found in every form that they are shipped in")
  func forms() throws {
    let line = try #require(checkpoints.last)
    let quoted = String(decoding: try JSONEncoder().encode(line), as: UTF8.self)
    let head = String(decoding: scratch.read("audit.jsonl.head"), as: UTF8.self)
    let forms = [
      line, head,
      "<110>1 2026-11-24T10:00:00.000Z h exitgate - checkpoint [exitgate@32473 seq=\"27\"] \(line)",
      "{\"raw_data\":\(quoted)}", "{\"resourceLogs\":[{\"a\":[{\"body\":{\"stringValue\":\(quoted)}}]}]}",
    ]
    for form in forms {
      let found = try verify("noise\n{\"seq\":1}\n\(form)\n")
      #expect(found.isIntact, "\(form): \(found.findings)")
      #expect(found.shipped == .init(checkpoints: 1, matched: 1), "\(form)")
    }
    let all = try verify(checkpoints.joined(separator: "\n"))
    #expect(all.isIntact && all.shipped?.matched == 6 && checkpoints.count == 6)
  }

  @Test(
    "AUD-08: a log that was written anew with the log's own key verifies alone, and not against what was shipped"
  )
  func rewritten() throws {
    let shipped = checkpoints.joined(separator: "\n")
    try forge(40, by: key)
    #expect(try scratch.verify().isIntact)
    let found = try verify(shipped)
    #expect(found.findings.map(\.problem) == Array(repeating: .notTheShippedOne, count: 6))
    #expect(found.findings.first?.line == 2 && found.shipped?.matched == 0)
  }

  @Test("AUD-08: a log that was cut off and signed anew ends before what was shipped")
  func truncated() throws {
    let shipped = checkpoints.joined(separator: "\n")
    scratch.write(Array(good[..<9].joined(separator: [10]) + [10]))
    let end = try #require(SealedLine(good[8]))
    let head = try #require(HeadFile(end.head, time: Timestamp(milliseconds: 0), key: key))
    scratch.write(head.encoded, to: "audit.jsonl.head")
    #expect(try scratch.verify().isIntact)
    let found = try verify(shipped)
    #expect(found.findings.map(\.problem) == [.shippedMissing(signed: 27)])
    #expect(found.shipped?.matched == 2)
  }

  @Test("AUD-08: a log signed by a new key is found where the old one is pinned, and where it is not")
  func foreignKey() throws {
    let shipped = checkpoints.joined(separator: "\n"), other = SigningKey()
    try forge(40, by: other)
    scratch.write(Array("\(other.publicKey)\n".utf8), to: "audit.jsonl.key.pub")
    #expect(try scratch.verify().isIntact)
    #expect(try verify(shipped).findings.map(\.problem) == Array(repeating: .foreignKey, count: 6))
    let pinned = try verify(shipped, key: key.publicKey).findings.map(\.problem)
    #expect(pinned.contains(.notTheShippedOne) && pinned.contains(.foreignKey))
  }

  @Test("AUD-08: what was shipped cannot be forged, and two signed states of one number are told")
  func forged() throws {
    let line = try #require(checkpoints.last)
    let changed = line.replacing("\"time\":1", with: "\"time\":2")
    #expect(try verify(changed).findings.map(\.problem) == [.wrongSignature])
    var state = ChainState(head: .genesis)
    state.appendCheckpoint(key: key, at: Timestamp(milliseconds: 7))
    let one = String(decoding: state.pending.bytes, as: UTF8.self)
    var other = ChainState(head: .genesis)
    other.appendCheckpoint(key: key, at: Timestamp(milliseconds: 8))
    let found = try verify(one + String(decoding: other.pending.bytes, as: UTF8.self))
    #expect(found.findings.contains { $0.problem == .shippedTwice && $0.line == 2 })
  }

  @Test("files that were taken away are told from a beginning that was put in their place")
  func beginning() throws {
    let shipped = checkpoints.joined(separator: "\n"), rest = Array(good[9...].joined(separator: [10]) + [10])
    try FileManager.default.removeItem(atPath: scratch.log)
    scratch.write(rest, to: "audit.jsonl.000002")
    scratch.write([])
    let found = try verify(shipped)
    // The first record's `prev` proves the state of the record before.
    #expect(
      found.isIntact && found.shipped == .init(checkpoints: 6, matched: 5, before: 1), "\(found.findings)")
    let one = try #require(checkpoints.first), late = good[10...]
    scratch.write(Array(late.joined(separator: [10]) + [10]), to: "audit.jsonl.000002")
    let uncovered = try verify(one)
    #expect(uncovered.findings.map(\.problem) == [.nothingShippedCovered])
    #expect(uncovered.shipped == .init(checkpoints: 1, before: 1))
    #expect(try verify(shipped).shipped == .init(checkpoints: 6, matched: 4, before: 2))
  }

  @Test("a file without checkpoints is no proof")
  func none() throws {
    for text in ["", "no\n", "{\"seq\":1}\n", String(decoding: good[2], as: UTF8.self)] {
      #expect(throws: AuditError(path: scratch.path + "/shipped", problem: .noCheckpoint)) {
        try verify(text)
      }
    }
  }
}
