import Foundation
import Testing

/// The README says what is true: its table of targets is Package.swift's, its
/// policies load, its commands exist.
@Suite struct ReadmeTests {
  @Test("the table of targets is that of Package.swift")
  func targets() throws {
    let manifest = try House.text("Package.swift")
    let declared = manifest.matches(of: /\.(?:target|executableTarget|systemLibrary)\(\s*name: "([^"]+)"/)
      .map { String($0.1) }.filter { !["CYAML", "CPSL", "CIDN2"].contains($0) }
    let readme = try House.text("README.md")
    let rows = readme.matches(of: /(?m)^\| `([A-Za-z]+)` \|/).map { String($0.1) }
    #expect(Set(rows).isSuperset(of: declared), "missing: \(Set(declared).subtracting(rows))")
    for row in rows where row.first?.isUppercase == true {
      #expect(declared.contains(row), "\(row) is no target")
    }
  }

  @Test("every path it names exists")
  func paths() throws {
    let readme = try House.text("README.md")
    for match in readme.matches(of: /`((?:scripts|Tests|Sources|allowlists)\/[A-Za-z0-9_.\/-]+)`/) {
      let path = House.root.appending(path: String(match.1)).path()
      #expect(FileManager.default.fileExists(atPath: path), "\(match.1) does not exist")
    }
  }

  @Test("its policies pass `exitgate check`, its commands are known")
  func snippets() throws {
    let readme = try House.text("README.md")
    let policies = readme.matches(of: /(?s)```yaml\n(version: 1\n.*?)```/).map { String($0.1) }
    #expect(!policies.isEmpty)
    for (index, policy) in policies.enumerated() {
      let file = FileManager.default.temporaryDirectory.appending(path: "readme-\(getpid())-\(index).yaml")
      try policy.write(to: file, atomically: true, encoding: .utf8)
      defer { try? FileManager.default.removeItem(at: file) }
      let (status, output) = try run(["check", file.path()])
      #expect(status == 0, "policy \(index + 1): \(output)")
    }
    for match in readme.matches(of: /(?m)^exitgate ([a-z]+(?: (?:tail|blocked|stats|verify))?)/) {
      let words = match.1.split(separator: " ").map(String.init)
      let (status, output) = try run(words + ["--help"])
      #expect(status == 0, "exitgate \(match.1): \(output)")
    }
  }

  /// Runs the binary beside the test bundle.
  private func run(_ arguments: [String]) throws -> (Int32, String) {
    let process = Process(), pipe = Pipe()
    let executable: URL = try #require(binary)
    process.executableURL = executable
    process.arguments = arguments
    process.standardOutput = pipe
    process.standardError = pipe
    try process.run()
    let output = String(decoding: pipe.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    process.waitUntilExit()
    return (process.terminationStatus, output)
  }

  private var binary: URL? {
    if let path = ProcessInfo.processInfo.environment["EXITGATE_BINARY"] { return URL(filePath: path) }
    let executable = URL(filePath: "/proc/self/exe").resolvingSymlinksInPath()
    let candidates = [executable.deletingLastPathComponent(), House.root.appending(path: ".build/debug")]
      .map { $0.appending(path: "exitgate") }
    return candidates.first { FileManager.default.isExecutableFile(atPath: $0.path()) }
  }
}
