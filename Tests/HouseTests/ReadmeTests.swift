import Foundation
import Testing

/// The README says what is true: its table of targets is Package.swift's, its
/// policies load, its commands exist.
@Suite struct ReadmeTests {
  @Test("the table of targets is that of Package.swift")
  func targets() throws {
    let manifest = try House.text("Package.swift")
    let declared = manifest.matches(of: /\.(?:target|executableTarget|systemLibrary)\(\s*name: "([^"]+)"/)
      .map { String($0.1) }.filter { !["CYAML", "CPSL", "CIDN2", "CNetfilter"].contains($0) }
    let readme = try House.text("README.md")
    let rows = readme.matches(of: /(?m)^\| `([A-Za-z]+)` \|/).map { String($0.1) }
    #expect(Set(rows).isSuperset(of: declared), "missing: \(Set(declared).subtracting(rows))")
    for row in rows where row.first?.isUppercase == true {
      #expect(declared.contains(row), "\(row) is no target")
    }
  }

  @Test("what a target may import is what the layering allows it")
  func mayImport() throws {
    let rows = try House.text("README.md").matches(of: /(?m)^\| `([A-Za-z]+)` \|[^|]*\| ([^|]*) \|$/)
      .map { (target: String($0.1), column: String($0.2)) }
    let allowed = Dictionary(uniqueKeysWithValues: LayeringTests.targets.map { ($0.name, $0.imports) })
    var above: Set<String> = []
    for row in rows where allowed[row.target] != nil || Self.shims.contains(row.target) {
      let told = Self.modules(row.column, above: above)
      let real = allowed[row.target]?.subtracting(LayeringTests.system) ?? ["Glibc"]
      #expect(told == real, "\(row.target): README says \(told.sorted()), the layering \(real.sorted())")
      above.insert(row.target)
    }
    #expect(above == Set(allowed.keys).union(Self.shims))
  }

  /// Targets in C.
  private static let shims: Set<String> = ["CLinux", "COpenSSL", "CSQLite"]

  /// The modules that a cell of the column speaks of.
  private static func modules(_ cell: String, above: Set<String>) -> Set<String> {
    let names = [
      "libyaml": "CYAML", "libpsl": "CPSL", "libidn2": "CIDN2", "libc": "Glibc",
      "libnftnl": "CNetfilter", "libmnl": "CNetfilter", "swift-crypto": "Crypto",
      "swift-log": "Logging", "swift-argument-parser": "ArgumentParser",
    ]
    var result: Set<String> = []
    for word in cell.replacing("nothing", with: "").split(separator: ", ").map(String.init) {
      let parts = word.split(separator: " but ").map(String.init)
      if parts[0] == "all above" {
        result.formUnion(above.subtracting(parts.dropFirst()))
      } else {
        result.insert(names[word] ?? word)
      }
    }
    return result
  }

  @Test("every path it names exists")
  func paths() throws {
    let readme = try House.text("README.md")
    for match in readme.matches(of: /`((?:scripts|Tests|Sources|allowlists)\/[A-Za-z0-9_.\/-]+)`/) {
      let path = House.root.appending(path: String(match.1)).path()
      #expect(FileManager.default.fileExists(atPath: path), "\(match.1) does not exist")
    }
  }

  @Test("every link into it leads to a heading of its own")
  func links() throws {
    let readme = try House.text("README.md")
    // As the hosts of repositories make them: lower case, hyphens for spaces, without punctuation.
    let anchors = Set(
      readme.matches(of: /(?m)^#+ (.+)$/).map {
        $0.1.lowercased().replacing(" ", with: "-").filter { $0.isLetter || $0.isNumber || $0 == "-" }
      })
    let links = readme.matches(of: /\]\(#([^)]+)\)/).map { String($0.1) }
    #expect(links.count > 20 && anchors.isSuperset(of: links), "\(Set(links).subtracting(anchors))")
  }

  @Test("every picture it shows exists, says what it shows, and is small")
  func pictures() throws {
    for match in try House.text("README.md").matches(of: /!\[([^\]]*)\]\(([^)]+)\)/) {
      let file = House.root.appending(path: String(match.2))
      #expect(match.1.count > 20, "\(match.2) has no description")
      #expect(try file.resourceValues(forKeys: [.fileSizeKey]).fileSize ?? .max < 128 * 1024, "\(match.2)")
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
    for match in readme.matches(
      of: /(?m)^exitgate ([a-z]+(?: (?:tail|blocked|suggest|replay|stats|verify|export|ship))?)/)
    {
      let words = match.1.split(separator: " ").map(String.init)
      let (status, output) = try run(words + ["--help"])
      #expect(status == 0, "exitgate \(match.1): \(output)")
    }
  }

  /// Runs the binary beside the test bundle.
  private func run(_ arguments: [String]) throws -> (Int32, String) {
    let process = Process(), pipe = Pipe()
    let executable: URL = try #require(House.binary)
    process.executableURL = executable
    process.arguments = arguments
    process.standardOutput = pipe
    process.standardError = pipe
    try process.run()
    let output = String(decoding: pipe.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    process.waitUntilExit()
    return (process.terminationStatus, output)
  }
}
