import Foundation
import Glibc
import Policy
import PolicyFile
import Testing

/// Files, includes, and what a policy says it was made from.
@Suite struct LoadingTests {
  let directory = TemporaryDirectory()

  private func rule(_ id: String) -> String {
    "rules:\n  - { id: \(id), action: allow, to: [\(id).example] }\n"
  }

  private func load(_ path: String) -> (loaded: LoadedPolicy?, errors: [String]) {
    do {
      return (try loader().load(path: directory.path(path)), [])
    } catch {
      return (nil, error.diagnostics.map { $0.description.replacing(directory.path(""), with: "") })
    }
  }

  @Test("file: counts from the including file; ids carry the list's name; sources are told")
  func includes() throws {
    try directory.write(
      "main.yaml", "version: 1\ninclude: [file:parts/team.yaml, builtin:npm]\n" + rule("own"))
    try directory.write("parts/team.yaml", "version: 1\ninclude: [\"file:../more.yaml\"]\n" + rule("team"))
    try directory.write("more.yaml", "version: 1\n" + rule("more"))
    let loaded = try #require(load("main.yaml").loaded)
    #expect(loaded.policy.rules.map(\.id.text).prefix(4) == ["own", "team", "more", "npm/npm-registry"])
    #expect(
      loaded.sources.map { $0.name.replacing(directory.path(""), with: "") }
        == ["file:main.yaml", "file:parts/team.yaml", "file:more.yaml", "builtin:npm"])
    #expect(loaded.sources.map(\.rules).prefix(3) == [1, 1, 1])
  }

  @Test("a file that is included twice counts once; one that includes itself is refused")
  func cycles() throws {
    try directory.write(
      "main.yaml",
      "version: 1\ninclude: [file:a.yaml, file:b.yaml, file:./a.yaml, builtin:npm, builtin:npm]\n")
    try directory.write("a.yaml", "version: 1\ninclude: [file:b.yaml]\n" + rule("a"))
    try directory.write("b.yaml", "version: 1\n" + rule("b"))
    #expect(load("main.yaml").loaded?.policy.rules.count == 4)
    try directory.write("b.yaml", "version: 1\ninclude: [file:main.yaml]\n" + rule("b"))
    #expect(
      load("main.yaml").errors == [
        "b.yaml:2:11: 'file:main.yaml' includes itself in the end. Remove one of the includes."
      ])
    try directory.write("self.yaml", "version: 1\ninclude: [file:self.yaml]\n")
    #expect(load("self.yaml").errors.count == 1)
  }

  @Test("includes stand in each other eight deep, and no deeper")
  func depth() throws {
    for level in 1...10 {
      try directory.write("\(level).yaml", "version: 1\ninclude: [file:\(level + 1).yaml]\n")
    }
    try directory.write("8.yaml", "version: 1\n" + rule("end"))
    #expect(load("1.yaml").errors.isEmpty)
    try directory.write("8.yaml", "version: 1\ninclude: [file:9.yaml]\n")
    #expect(load("1.yaml").errors.map { $0.prefix(12) } == ["8.yaml:2:11:"])
  }

  @Test("many files are one policy, up to a bound")
  func width() throws {
    for number in 0..<300 { try directory.write("part\(number).yaml", "version: 1\n") }
    let names = (0..<300).map { "file:part\($0).yaml" }.joined(separator: ", ")
    try directory.write("main.yaml", "version: 1\ninclude: [\(names)]\n" + rule("own"))
    #expect(load("main.yaml").errors.contains { $0.contains("more than 256 files") })
  }

  @Test("errors of every file are told at once, sorted")
  func allAtOnce() throws {
    try directory.write(
      "main.yaml", "version: 1\ninclude: [file:a.yaml, file:none.yaml]\nrules:\n  - { id: r }\n")
    try directory.write("a.yaml", "version: 2\nmode: audit\nagents: {}\n")
    #expect(
      load("main.yaml").errors.map { $0.prefix { $0 != " " } } == [
        "a.yaml:1:10:", "a.yaml:2:1:", "a.yaml:3:1:", "main.yaml:2:24:", "main.yaml:4:5:", "main.yaml:4:5:",
      ])
  }

  @Test("POL-29: only a regular file that not everybody may write is a policy")
  func fileKinds() throws {
    try directory.write("good.yaml", "version: 1\n" + rule("a"))
    #expect(symlink("good.yaml", directory.path("link.yaml")) == 0)
    #expect(load("link.yaml").errors.isEmpty)
    #expect(chmod(directory.path("good.yaml"), 0o646) == 0)
    #expect(load("good.yaml").errors.first?.contains("everybody may write") == true)
    #expect(load("link.yaml").errors.first?.contains("everybody may write") == true)
    #expect(chmod(directory.path("good.yaml"), 0o664) == 0)
    #expect(load("good.yaml").errors.isEmpty)
    #expect(mkfifo(directory.path("fifo"), 0o600) == 0)
    #expect(load("fifo").errors.first?.contains("not a regular file") == true)
    #expect(load("").errors.first?.contains("not a regular file") == true)
    #expect(load("none.yaml").errors.first?.contains("there is no file") == true)
    #expect(load("good.yaml/x").errors.first?.contains("there is no file") == true)
    #expect(load("a\0b").errors.first?.contains("NUL") == true)
  }

  @Test("POL-29: a file of more than 1 MiB is refused, one of just that size is not")
  func fileSize() throws {
    let head = "version: 1\n" + rule("a")
    let fill = String(repeating: "# padding\n", count: (1 << 20) / 10)
    try directory.write("large.yaml", head + fill)
    #expect(load("large.yaml").errors.first?.contains("larger than 1024 KiB") == true)
    try directory.write("full.yaml", head + String(fill.prefix((1 << 20) - head.utf8.count)))
    #expect(load("full.yaml").errors.isEmpty)
    #expect(errors(head + fill).first?.contains("larger than 1 MiB") == true)
  }

  @Test("OPS-03: a file cut off anywhere is refused or reads as less, and never opens anything")
  func truncated() throws {
    let text = try Repository.text("Tests/Fixtures/policies/good/everything.yaml")
    let whole = try loader(.sidecar).load(text: text, named: "p").policy
    for end in stride(from: 0, to: text.utf8.count, by: 7) {
      guard let part = String(text.utf8.prefix(end)),
        let loaded = try? loader(.sidecar).load(text: part, named: "p").policy
      else { continue }
      #expect(loaded.rules.count <= whole.rules.count)
    }
  }

  @Test(
    "POL-29: nothing of a file that is no policy is shown",
    arguments: [
      "s3cret:x:0:0:s3cret:/s3cret:/bin/sh\nnext:x:1:1::/:/bin/sh\n", "- s3cret\n", "s3cret\n",
      "s3cret: 1\ns3cret: 2\n", "token: s3cret\n", "# s3cret\n", "[s3cret", "s3cret: [1, \"x\n", "%s3cret\n",
      "token: s3cret\nrules: [s3cret]\nmode: s3cret\n", "\"s3cret\u{1}\"\n", "&s3cret *s3cret !s3cret x\n",
    ])
  func notAPolicy(_ text: String) throws {
    try directory.write("main.yaml", "version: 1\ninclude: [file:other]\n" + rule("own"))
    try directory.write("other", text)
    let said = load("main.yaml").errors
    #expect(!said.isEmpty && said.allSatisfy { $0.hasPrefix("other:") && !$0.contains("s3cret") }, "\(said)")
  }

  @Test("of an included policy plain words are shown, so that a slip can be found, and nothing else")
  func includedTypos() throws {
    try directory.write("main.yaml", "version: 1\ninclude: [file:part.yaml]\n" + rule("own"))
    try directory.write(
      "part.yaml",
      """
      version: 1
      include: [builtin:npn, "builtin:s3 cret", "file:s3 cret", "s3 cret"]
      rulez: []
      "pass word": x
      rules:
        - { id: a, action: alow, to: [a.example] }
        - { id: b, action: "my s3cret", to: ["my s3cret"], ports: ["my s3cret"], expires: "my s3cret" }
        - { id: "\(String(repeating: "s3cret", count: 11))", action: allow, to: [b.example], agents: ["s3 cret"] }

      """)
    let said = load("main.yaml").errors
    #expect(said.count == 12)
    #expect(said.contains { $0.contains("there is no built-in list 'npn'. Write 'npm'") })
    #expect(said.contains { $0.contains("'rulez' is not a key of a policy. Write 'rules'") })
    #expect(said.contains { $0.contains("'action' cannot be 'alow'. Write 'allow'") })
    #expect(said.contains { $0.contains("part.yaml:4:1: '…' is not a key of a policy") })
    #expect(
      !said.contains { $0.contains("s3cret") || $0.contains("pass word") || $0.contains("s3 cret") },
      "\(said)")
  }

  @Test("a diagnostic names the file as it was named")
  func naming() throws {
    let error = #expect(throws: PolicyFileError.self) {
      try loader().load(text: "version: 2", named: "standard input")
    }
    #expect(
      error?.description
        == "standard input:1:10: this exitgate reads version 1 alone, not the number '2'. Write 'version: 1'."
    )
  }
}

/// A directory that is gone when the test is over.
final class TemporaryDirectory: Sendable {
  private let root: String

  init() {
    root = FileManager.default.temporaryDirectory.appending(path: "exitgate-\(UUID().uuidString)").path()
    try? FileManager.default.createDirectory(atPath: root, withIntermediateDirectories: true)
  }

  deinit { try? FileManager.default.removeItem(atPath: root) }

  func path(_ relative: String) -> String { root + "/" + relative }

  func write(_ relative: String, _ text: String) throws {
    let target = path(relative)
    try FileManager.default.createDirectory(
      atPath: (target as NSString).deletingLastPathComponent, withIntermediateDirectories: true)
    try Data(text.utf8).write(to: URL(filePath: target))
    _ = chmod(target, 0o644)
  }
}
