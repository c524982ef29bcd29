import Dispatch
import Foundation
import Glibc
import PolicyFile
import Synchronization
import Testing

@Suite("Who may keep others away from a file of rules")
struct OverlayLockTests {
  /// A directory of a user's own, and a file in it that may be another's.
  struct Place: CustomTestStringConvertible, Sendable {
    var mode: mode_t
    var fileOwner: uid_t = 61001
    /// Whose the lock is to be, and for whom.
    var owner: uid_t = 61001
    var group: gid_t = 61002
    var lock: mode_t
    /// Whether somebody of the directory's group takes it, and somebody who is neither.
    var forGroup = false
    var forOthers = false

    var testDescription: String { "\(String(mode, radix: 8)), the file of \(fileOwner)" }
  }

  private func directory(_ place: Place) throws -> String {
    let path = FileManager.default.temporaryDirectory.appending(path: "lock-\(UUID().uuidString)").path()
    try #require(mkdir(path, 0o700) == 0)
    let file = open(path + "/rules.yaml", O_CREAT | O_WRONLY | O_CLOEXEC, 0o600)
    try #require(file >= 0 && fchown(file, place.fileOwner, 61003) == 0)
    close(file)
    try #require(chown(path, 61001, 61002) == 0 && chmod(path, place.mode) == 0)
    return path
  }

  /// Whether a user opens a file to write it.
  private func opens(_ path: String, user: uid_t, group: gid_t) throws -> Bool {
    let shell = Process()
    shell.executableURL = URL(filePath: "/usr/bin/setpriv")
    shell.arguments = [
      "--reuid=\(user)", "--regid=\(group)", "--clear-groups", "sh", "-c", "exec 3<>\"$0\"", path,
    ]
    shell.standardError = FileHandle.nullDevice
    try shell.run()
    shell.waitUntilExit()
    return shell.terminationStatus == 0
  }

  @Test(
    "a lock that root made is for everybody who may write the directory, and for nobody else",
    .enabled(if: geteuid() == 0),
    arguments: [
      Place(mode: 0o755, lock: 0o600),
      Place(mode: 0o755, fileOwner: 0, lock: 0o600),
      Place(mode: 0o775, fileOwner: 0, lock: 0o660, forGroup: true),
      Place(mode: 0o777, lock: 0o666, forGroup: true, forOthers: true),
      // Of a sticky directory nobody but its owner replaces another's file.
      Place(mode: 0o1777, fileOwner: 61004, owner: 61004, group: 61003, lock: 0o600),
    ])
  func root(_ place: Place) throws {
    let path = try directory(place), lock = "\(path)/rules.yaml.lock"
    defer { try? FileManager.default.removeItem(atPath: path) }
    _ = try OverlayLock(of: path + "/rules.yaml")
    var status = stat()
    try #require(stat(lock, &status) == 0)
    #expect(status.st_uid == place.owner && status.st_gid == place.group)
    #expect(status.st_mode & 0o7777 == place.lock)
    #expect(try opens(lock, user: place.owner, group: 61009))
    #expect(try opens(lock, user: 61005, group: 61002) == place.forGroup)
    #expect(try opens(lock, user: 61006, group: 61006) == place.forOthers)
    _ = try OverlayLock(of: path + "/rules.yaml")
    var again = stat()
    #expect(stat(lock, &again) == 0 && again.st_ino == status.st_ino, "the same is taken again")
  }

  @Test("a file that is not there yet, and one in the working directory, are kept too")
  func missing() throws {
    let path = FileManager.default.temporaryDirectory.appending(path: "lock-\(UUID().uuidString)").path()
    try #require(mkdir(path, 0o700) == 0)
    defer { try? FileManager.default.removeItem(atPath: path) }
    let lock = try OverlayLock(of: path + "/rules.yaml")
    #expect {
      try OverlayLock(of: path + "/rules.yaml")
    } throws: {
      ($0 as? RuleFileError)?.code == EWOULDBLOCK
    }
    extendLifetime(lock)
  }

  @Test("a lock that somebody has is tried without closing what others have open")
  func refusedOften() throws {
    let path = FileManager.default.temporaryDirectory.appending(path: "lock-\(UUID().uuidString)").path()
    try #require(mkdir(path, 0o700) == 0)
    defer { try? FileManager.default.removeItem(atPath: path) }
    let lock = try OverlayLock(of: path + "/rules.yaml")
    defer { extendLifetime(lock) }
    let isOver = Atomic(false), lost = Atomic(0)
    // Others open and close meanwhile, as the connections of a gate do: what was closed for them is theirs no more.
    let others = DispatchGroup()
    for _ in 0..<4 {
      DispatchQueue.global().async(group: others) {
        while !isOver.load(ordering: .relaxed) {
          let own = open("/dev/null", O_RDONLY | O_CLOEXEC)
          for _ in 0..<20 { sched_yield() }
          if close(own) != 0 { lost.add(1, ordering: .relaxed) }
        }
      }
    }
    for _ in 0..<20_000 { _ = try? OverlayLock(of: path + "/rules.yaml") }
    isOver.store(true, ordering: .relaxed)
    others.wait()
    #expect(lost.load(ordering: .relaxed) == 0)
  }

  @Test("what cannot be locked is told of by the lock's own name")
  func told() throws {
    let path = FileManager.default.temporaryDirectory.appending(path: "lock-\(UUID().uuidString)").path()
    try #require(mkdir(path, 0o700) == 0 && symlink("nowhere", path + "/rules.yaml.lock") == 0)
    defer { try? FileManager.default.removeItem(atPath: path) }
    #expect {
      try OverlayLock(of: path + "/rules.yaml")
    } throws: {
      "\($0)".contains("'\(path)/rules.yaml.lock'")
    }
  }
}
