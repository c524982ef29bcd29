import Foundation
import Testing

/// How large files and functions may be. The numbers are those of code that is
/// easily read; a file above them is cut in two, not excused.
@Suite struct SizeTests {
  @Test("no file is longer than 500 lines, and nine in ten have at most 300")
  func files() throws {
    let sizes = try House.sources.filter { !$0.contains("/Builtin/") }
      .map {
        (path: $0, lines: try House.text($0).split(separator: "\n", omittingEmptySubsequences: false).count)
      }
    for size in sizes { #expect(size.lines <= 500, "\(size.path) has \(size.lines) lines") }
    let ordered = sizes.map(\.lines).sorted()
    #expect(ordered[ordered.count * 9 / 10] <= 300)
  }

  @Test("no function is longer than 60 lines, nine in ten have at most 25, half at most 8")
  func functions() throws {
    var lengths: [Int] = []
    for path in House.sources where !path.contains("/Builtin/") {
      for function in functionLengths(in: try House.text(path)) {
        #expect(function.lines <= 60, "\(path): \(function.name) has \(function.lines) lines")
        lengths.append(function.lines)
      }
    }
    let ordered = lengths.sorted()
    try #require(ordered.count > 300)
    #expect(ordered[ordered.count * 9 / 10] <= 25)
    #expect(ordered[ordered.count / 2] <= 8)
  }

  /// Finds functions by their first line and the brace that closes them at the
  /// same indentation, which the formatter guarantees.
  private func functionLengths(in text: String) -> [(name: String, lines: Int)] {
    let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
    var result: [(String, Int)] = []
    for (index, line) in lines.enumerated() {
      guard let match = line.firstMatch(of: /^( *)[a-z@() ]*\b(func [^(<]+|init[?]?)[(<]/) else { continue }
      let indentation = match.1
      guard let end = lines[index...].firstIndex(where: { $0 == "\(indentation)}" }) else { continue }
      let isOneLine = line.hasSuffix("}")
      result.append((String(match.2), isOneLine ? 1 : end - index + 1))
    }
    return result
  }

  @Test("escapes from the compiler's checks are proved where they stand")
  func escapes() throws {
    for path in House.sources {
      let lines = try House.text(path).split(separator: "\n", omittingEmptySubsequences: false)
      for (index, line) in lines.enumerated() {
        let escape =
          line.contains("@unchecked Sendable") || line.contains("nonisolated(unsafe)")
          || line.contains("try!")
        guard escape, !line.drop(while: { $0 == " " }).hasPrefix("//") else { continue }
        let before = lines[max(0, index - 12)..<index].joined(separator: "\n")
        #expect(before.contains("//"), "\(path):\(index + 1) has no proof above it")
      }
    }
  }

  @Test("nothing is left unfinished")
  func marks() throws {
    for path in House.sources + House.files(in: "Tests", ["swift", "py"]) where !path.contains("HouseTests") {
      let text = try House.text(path)
      for mark in ["TO" + "DO", "FIX" + "ME", "XX" + "X:"] {
        #expect(!text.contains(mark), "\(path) says \(mark)")
      }
    }
  }
}
