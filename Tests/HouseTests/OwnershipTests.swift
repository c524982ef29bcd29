import Foundation
import Testing

/// Who closes a descriptor.
@Suite struct OwnershipTests {
  /// A class whose stored values are all there is ended by `deinit` even where its initializer throws. An initializer
  /// that closes a stored descriptor before it throws closes it twice, and the second time it may be another's.
  @Test("no initializer closes what it has stored already and deinit closes")
  func once() throws {
    var seen = 0
    for path in House.sources {
      let text = try House.text(path)
      guard text.contains("deinit {") else { continue }
      for initializer in Self.initializers(in: text) {
        seen += 1
        let twice = Self.closedTwice(initializer, deinits: Self.bodies(after: "deinit ", in: text))
        #expect(twice == nil, "\(path): '\(twice ?? "")' is closed by deinit as well")
      }
    }
    #expect(seen > 20, "the search finds initializers")
  }

  @Test("the search finds one that does, and takes a local value for no stored one")
  func control() {
    let stored = "fd = open(path)\n    guard works(fd) else {\n      close(fd)\n      throw error\n    }"
    #expect(Self.closedTwice(stored, deinits: ["_ = Glibc.close(fd)"]) == "fd")
    #expect(Self.closedTwice("    self.\(stored)", deinits: ["close(fd)"]) == "fd")
    #expect(Self.closedTwice("    let \(stored)\n    self.fd = fd", deinits: ["close(fd)"]) == nil)
    #expect(Self.closedTwice(stored, deinits: ["close(other)"]) == nil)
    #expect(Self.initializers(in: "init() throws {\n{ a }\n}\ndeinit { b }") == ["\n{ a }\n"])
  }

  /// The name of a value that is closed after it was stored.
  private static func closedTwice(_ body: String, deinits: [String]) -> String? {
    let lines = body.split(separator: "\n").map { $0.drop { $0 == " " } }
    let names = deinits.flatMap { $0.matches(of: /close\((\w+)\)/).map { String($0.1) } }
    return names.first { name in
      guard
        let stored = lines.firstIndex(where: { $0.hasPrefix("\(name) = ") || $0.hasPrefix("self.\(name) = ") }
        )
      else { return false }
      return lines[stored...].contains { $0.contains("close(\(name))") }
    }
  }

  private static func initializers(in text: String) -> [String] {
    text.matches(of: /\binit\([^{]*throws[^{]*\{/).map { body(from: $0.range.upperBound, in: text) }
  }

  private static func bodies(after word: String, in text: String) -> [String] {
    text.ranges(of: word + "{").map { body(from: $0.upperBound, in: text) }
  }

  /// What stands up to the brace that closes.
  private static func body(from start: String.Index, in text: String) -> String {
    var depth = 1
    let end = text[start...].firstIndex { character in
      if character == "{" { depth += 1 } else if character == "}" { depth -= 1 }
      return depth == 0
    }
    return String(text[start..<(end ?? text.endIndex)])
  }
}
