import Foundation
import Glibc
import PolicyFile
import Testing

@Suite("A file of rules that is changed")
struct RuleFileTests {
  /// A directory, and the file of rules in it.
  private let folder: String, file: RuleFile

  init() throws {
    folder = FileManager.default.temporaryDirectory.appending(path: "rules-\(UUID().uuidString)").path()
    try #require(mkdir(folder, 0o700) == 0)
    file = RuleFile(folder + "/rules.yaml")
  }

  private func end() { try? FileManager.default.removeItem(atPath: folder) }
  private func text(_ path: String) -> String? { try? String(contentsOfFile: path, encoding: .utf8) }
  private func mode(_ path: String) -> mode_t? {
    var status = stat()
    return lstat(path, &status) == 0 ? status.st_mode & 0o7777 : nil
  }
  private var names: [String]? { try? FileManager.default.contentsOfDirectory(atPath: folder).sorted() }

  @Test(
    "a new one has the mode that is asked for, one that was there keeps its own, and nothing lies beside it")
  func modes() throws {
    defer { end() }
    try file.replace(with: "one", mode: 0o600)
    #expect(text(file.path) == "one" && mode(file.path) == 0o600)
    try #require(chmod(file.path, 0o640) == 0)
    try file.replace(with: "two", mode: 0o600)
    #expect(text(file.path) == "two" && mode(file.path) == 0o640)
    #expect(names == ["rules.yaml"])
    try file.remove()
    #expect(names == [])
  }

  @Test("one of another user stays that user's", .enabled(if: geteuid() == 0))
  func owner() throws {
    defer { end() }
    try file.replace(with: "one", mode: 0o600)
    try #require(chown(file.path, 61001, 61002) == 0)
    try file.replace(with: "two", mode: 0o600)
    var status = stat()
    #expect(stat(file.path, &status) == 0 && status.st_uid == 61001 && status.st_gid == 61002)
  }

  @Test("a link is followed where that is asked for, and nowhere else: what it leads to is not written")
  func links() throws {
    defer { end() }
    let real = folder + "/real.yaml"
    try RuleFile(real).replace(with: "real", mode: 0o644)
    try #require(symlink("real.yaml", file.path) == 0)
    let behind = RuleFile.behindLinks(file.path)
    try RuleFile(behind).replace(with: "changed", mode: 0o600)
    #expect(text(real) == "changed" && mode(real) == 0o644)
    try file.replace(with: "in its place", mode: 0o600)
    #expect(text(real) == "changed" && text(file.path) == "in its place" && mode(file.path) == 0o600)
    #expect(RuleFile.behindLinks(folder + "/none.yaml") == folder + "/none.yaml")
  }

  @Test("what stands where the new text is to be written is no trap: neither a link nor an old piece of work")
  func trap() throws {
    defer { end() }
    let other = folder + "/other"
    try "not ours".write(toFile: other, atomically: false, encoding: .utf8)
    try #require(symlink("other", file.path + ".new") == 0)
    try file.replace(with: "one", mode: 0o600)
    #expect(text(other) == "not ours" && text(file.path) == "one" && names == ["other", "rules.yaml"])
  }

  @Test("what cannot be written stays as it was, and the error has its name and cause")
  func refused() throws {
    defer { end() }
    try #require(mkdir(file.path, 0o700) == 0)  // rename(2) puts no file in the place of a directory
    #expect {
      try file.replace(with: "one", mode: 0o600)
    } throws: {
      ($0 as? RuleFileError)?.code == EISDIR && "\($0)".contains("'\(file.path)' cannot be written")
    }
    #expect(names == ["rules.yaml"])
    #expect(throws: RuleFileError.self) {
      try RuleFile(folder + "/none/rules.yaml").replace(with: "", mode: 0o600)
    }
    #expect(throws: RuleFileError.self) { try RuleFile(folder + "/none.yaml").remove() }
  }
}
