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

  @Test("what a group may do, no other may", .enabled(if: geteuid() == 0), arguments: [0o660, 0o664, 0o640])
  func group(_ mode: mode_t) throws {
    defer { end() }
    try #require(chmod(folder, 0o777) == 0)
    try file.replace(with: "one", mode: 0o600)
    try #require(chown(file.path, 61001, 61002) == 0 && chmod(file.path, mode) == 0)
    // By a user who may give it to nobody.
    let child = fork()
    if child == 0 {
      guard setgroups(0, nil) == 0, setgid(61005) == 0, setuid(61005) == 0 else { _exit(2) }
      _exit((try? RuleFile(file.path).replace(with: "two", mode: 0o600)) == nil ? 1 : 0)
    }
    var status: Int32 = -1
    try #require(waitpid(child, &status, 0) == child && status == 0)
    var new = stat()
    #expect(stat(file.path, &new) == 0 && text(file.path) == "two")
    #expect(new.st_uid == 61005 && new.st_gid == 61005 && new.st_mode & 0o777 == mode & ~0o070)
  }

  @Test(
    "a symbolic link is neither followed nor replaced, wherever it leads",
    arguments: ["real.yaml", "nowhere"])
  func links(_ target: String) throws {
    defer { end() }
    let real = folder + "/real.yaml"
    try RuleFile(real).replace(with: "real", mode: 0o644)
    try #require(symlink(target, file.path) == 0)
    for change in [{ try file.replace(with: "new", mode: 0o600) }, { try file.remove() }] {
      #expect {
        try change()
      } throws: {
        "\($0)"
          == "'\(file.path)' is a symbolic link, and exitgate changes this file. Name the file that it leads to"
      }
    }
    #expect(
      text(real) == "real" && names == ["real.yaml", "rules.yaml"] && file.isLink && !RuleFile(real).isLink)
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
