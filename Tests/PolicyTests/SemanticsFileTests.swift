import Addressing
import Foundation
import Policy
import Testing

/// The table that drives the reader, the command line and the running gate is
/// well-formed and whole; what it says is tested where a policy can be read.
@Suite("The semantics table is whole")
struct SemanticsFileTests {
  static let fixtures = URL(filePath: #filePath).resolvingSymlinksInPath()
    .deletingLastPathComponent().deletingLastPathComponent().appending(path: "Fixtures")

  private func rows() throws -> [[String]] {
    try String(contentsOf: Self.fixtures.appending(path: "semantics.tsv"), encoding: .utf8)
      .split(separator: "\n").filter { !$0.hasPrefix("#") }
      .map { $0.split(separator: "\t", omittingEmptySubsequences: false).map(String.init) }
  }

  @Test("ten fields a line, known words, and a policy for each")
  func form() throws {
    let answers: Set = ["allow", "ask", "deny", "would-deny", "malformed", "refused", "stays", "closes"]
    for row in try rows() {
      try #require(row.count == 10 && row.allSatisfy { !$0.isEmpty }, "\(row)")
      #expect(answers.contains(row[6]), "\(row)")
      #expect(row[7] == "-" || Reason(rawValue: row[7]) != nil, "\(row)")
      for policy in row[1].split(separator: ">") {
        let file = Self.fixtures.appending(path: "semantics/\(policy).yaml").path(percentEncoded: false)
        #expect(FileManager.default.fileExists(atPath: file), "\(row)")
      }
    }
  }

  @Test("every row that needs no traffic has cases; limits (row 12) need some")
  func coverage() throws {
    #expect(Set(try rows().map { $0[0] }) == Set((1...15).filter { $0 != 12 }.map(String.init)))
  }

  @Test("no case is there twice, and no policy is unused")
  func unique() throws {
    let cases = try rows().map { $0[1...5].joined(separator: " ") }
    #expect(Dictionary(grouping: cases) { $0 }.filter { $1.count > 1 }.isEmpty)
    let used = Set(try rows().flatMap { $0[1].split(separator: ">").map { "\($0).yaml" } })
    let directory = Self.fixtures.appending(path: "semantics").path(percentEncoded: false)
    #expect(Set(try FileManager.default.contentsOfDirectory(atPath: directory)) == used)
  }
}
