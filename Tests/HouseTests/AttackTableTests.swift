import Foundation
import Testing

/// Holds `Tests/attacks.md` to the attack catalogue and to the tests it names.
@Suite struct AttackTableTests {
  /// How many entries each section of the catalogue has; ids are numbered from 01.
  static let entries = [
    ("POL", 32), ("HTTP", 30), ("TLS", 9), ("DNS", 28), ("NFT", 26), ("SBX", 13), ("AUD", 10), ("CTL", 16),
    ("DOS", 8), ("OPS", 8),
  ]

  static let ids = entries.flatMap { section, count in
    (1...count).map { "\(section)-\($0 < 10 ? "0" : "")\($0)" }
  }

  /// One line of the table.
  struct Row {
    var id: String, priority: String, proof: String, later: String

    /// The files it names, each with the tests named behind it.
    var proofs: [(file: String, tests: [String])] {
      var result: [(file: String, tests: [String])] = []
      for match in proof.matches(of: /`([^`]+)`/) {
        let word = String(match.1)
        if word.hasPrefix("Tests/") {
          result.append((word, []))
        } else {
          result[result.count - 1].tests.append(word)
        }
      }
      return result
    }
  }

  static func rows() throws -> [Row] {
    try House.text("Tests/attacks.md").split(separator: "\n").compactMap { line in
      let cells = line.replacing("\\|", with: "/").split(separator: "|", omittingEmptySubsequences: false)
        .map { $0.trimmingCharacters(in: .whitespaces) }
      guard cells.count == 7, cells[1].contains(/^[A-Z]{3,4}-[0-9]{2}$/) else { return nil }
      return Row(id: cells[1], priority: cells[2], proof: cells[4], later: cells[5])
    }
  }

  @Test("every entry of the catalogue stands in the table, once and in order")
  func complete() throws {
    #expect(try Self.rows().map(\.id) == Self.ids)
  }

  @Test("every entry is proved, or names the issue that will prove it")
  func accounted() throws {
    for row in try Self.rows() {
      #expect(["P0", "P1", "P2"].contains(row.priority), "\(row.id)")
      #expect(!row.proof.isEmpty || !row.later.isEmpty, "\(row.id) has neither a test nor an issue")
    }
  }

  @Test(
    "what serve can show, the end-to-end tests do show",
    arguments: ["POL", "HTTP", "TLS", "DNS", "AUD", "DOS", "OPS"])
  func proved(section: String) throws {
    for row in try Self.rows() where row.id.hasPrefix("\(section)-") {
      #expect(row.proof.contains("Tests/EndToEnd/test_"), "\(row.id)")
    }
  }

  @Test("every test that is named exists, and every file holds a test of that entry")
  func existing() throws {
    for row in try Self.rows() {
      for (file, tests) in row.proofs {
        let text = try #require(try? House.text(file), "\(row.id): \(file) does not exist")
        for test in tests { #expect(text.contains("def \(test)("), "\(row.id): \(file) has no \(test)") }
        if tests.isEmpty { #expect(text.contains(row.id), "\(row.id): \(file) has no test with that id") }
      }
    }
  }
}
