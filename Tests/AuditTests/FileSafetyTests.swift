import Foundation
import LogFixtures
import Testing

@testable import Audit

@Suite("The log's files are the gate's own")
struct FileSafetyTests {
  let scratch: Scratch

  init() throws { scratch = try Scratch() }

  func problem() -> AuditError.Problem? {
    do throws(AuditError) { try AuditLog.open(scratch.options()).close() } catch { return error.problem }
    return nil
  }

  func mode(_ name: String) throws -> Int? {
    try FileManager.default.attributesOfItem(atPath: scratch.path + "/" + name)[.posixPermissions] as? Int
  }

  @Test("everything but the public key is made for the owner alone")
  func modes() throws {
    #expect(problem() == nil)
    for name in ["", ".key", ".lock", ".head", ".key.pub"] {
      #expect(try mode("audit.jsonl" + name) == 0o600)
    }
  }

  @Test("a directory that is missing is made, for the owner alone")
  func directory() throws {
    let log = try AuditLog.open(AuditOptions(path: scratch.path + "/a/b/audit.jsonl"))
    log.close()
    #expect(try mode("a") == 0o700)
    #expect(try mode("a/b") == 0o700)
  }

  @Test(
    "links are refused: to a file, to nothing, hard",
    arguments: ["audit.jsonl", "audit.jsonl.key", "audit.jsonl.lock"])
  func links(name: String) throws {
    let path = scratch.path + "/" + name
    scratch.write([], to: "target")
    try FileManager.default.createSymbolicLink(atPath: path, withDestinationPath: scratch.path + "/target")
    #expect(problem() == .notRegularFile)
    try FileManager.default.removeItem(atPath: path)
    try FileManager.default.createSymbolicLink(atPath: path, withDestinationPath: scratch.path + "/nothing")
    #expect(problem() == .notRegularFile)
    try FileManager.default.removeItem(atPath: path)
    try FileManager.default.linkItem(atPath: scratch.path + "/target", toPath: path)
    #expect(problem() == .notRegularFile)
    try FileManager.default.removeItem(atPath: path)
    #expect(problem() == nil)
  }

  @Test("a directory, a FIFO and a device are refused without waiting on them")
  func special() throws {
    #expect(mkfifo(scratch.log, 0o600) == 0)
    #expect(problem() == .notRegularFile)
    try FileManager.default.removeItem(atPath: scratch.log)
    try FileManager.default.createDirectory(atPath: scratch.log, withIntermediateDirectories: false)
    #expect(problem() == .notRegularFile)
    var reader = try LogReader(path: "/dev/null")
    #expect(throws: AuditError(path: "/dev/null", problem: .notRegularFile)) { try reader.next() }
  }

  @Test("files that others can write are refused, directories are warned of, with the remedy")
  func loose() throws {
    scratch.write([])
    chmod(scratch.log, 0o620)
    #expect(problem() == .writableByOthers(mode: 0o620))
    chmod(scratch.log, 0o640)
    #expect(problem() == nil)
    #expect(AuditOptions(path: scratch.log).warning == nil)
    chmod(scratch.path, 0o777)
    #expect(problem() == nil, "its owner may have no better place")
    #expect(AuditOptions(path: scratch.log).warning?.contains("chmod go-w \(scratch.path)") == true)
    chmod(scratch.path, 0o1777)
    #expect(AuditOptions(path: scratch.log).warning == nil, "sticky, as /tmp")
    chmod(scratch.path, 0o700)
    #expect(
      AuditError(path: "/x", problem: .writableByOthers(mode: 0o622)).description
        == "/x: can be written by others (mode 622). Run 'chmod go-w /x', or choose another place for the log."
    )
  }

  @Test(
    "what belongs to another user is refused", .enabled(if: geteuid() == 0, "giving files away needs root"))
  func foreign() throws {
    scratch.write([])
    chown(scratch.log, 12345, 12345)
    #expect(problem() == .foreignOwner(userID: 12345))
    chown(scratch.log, 0, 0)
    chown(scratch.path, 12345, 12345)
    #expect(problem() == .foreignOwner(userID: 12345))
    chown(scratch.path, 0, 0)
    #expect(problem() == nil)
  }

  @Test("a second writer is refused until the first one ends")
  func secondWriter() throws {
    let log = try AuditLog.open(scratch.options())
    #expect(problem() == .inUse)
    log.close()
    #expect(problem() == nil)
  }

  @Test("a file that is no log is left alone", arguments: ["notes", "{\"a\":1}\n", "{\"seq\";", "\n"])
  func notALog(text: String) {
    scratch.write(Array(text.utf8))
    #expect(problem() == .notALog)
    #expect(scratch.read() == Array(text.utf8))
  }

  @Test("a key file that holds no key is never replaced")
  func badKey() {
    scratch.write(Array("garbage\n".utf8), to: "audit.jsonl.key")
    #expect(problem() == .badKey)
    #expect(scratch.read("audit.jsonl.key") == Array("garbage\n".utf8))
  }

  @Test("a closed log takes nothing more")
  func closed() throws {
    let log = try AuditLog.open(scratch.options())
    log.close()
    let size = scratch.read().count
    log.append(.decision(decision()))
    #expect(!log.commit() && !log.isAvailable)
    log.close()
    #expect(scratch.read().count == size)
  }
}
