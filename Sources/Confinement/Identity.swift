import CLinux
import Glibc
import SystemPackage

/// A user and a group to run as.
public struct Identity: Hashable, Sendable, CustomStringConvertible {
  public var user: UInt32
  public var group: UInt32

  /// Makes an identity.
  public init(user: UInt32, group: UInt32) { (self.user, self.group) = (user, group) }

  public var description: String { "\(user):\(group)" }

  /// Whom the calling thread acts as.
  public static var current: Identity { Identity(user: geteuid(), group: getegid()) }
}

/// The users of /etc/passwd, read without the name service switch: a program
/// that is linked statically cannot load its modules, and a sandbox has no daemons to ask.
///
/// - Source: passwd(5).
public struct UserTable: Sendable {
  private let lines: [Substring]

  /// Makes a table of a file's text.
  public init(text: String) { lines = text.split(separator: "\n") }

  /// Reads /etc/passwd; empty where there is none.
  public static func system() -> UserTable {
    UserTable(text: smallFile("/etc/passwd", limit: 1 << 20) ?? "")
  }

  /// The user of that name, or with that number; a number needs no line, and
  /// its group is then the same number.
  ///
  /// - Throws: `.noUser` for a name without a line. Where several lines have
  ///   the name the first counts, as for getpwnam(3).
  public func find(_ word: String) throws(ConfinementError) -> Identity {
    let users = lines.lazy.compactMap(Self.user)
    if let number = UInt32(word), number != .max {
      return users.first { $0.identity.user == number }?.identity ?? Identity(user: number, group: number)
    }
    guard let found = users.first(where: { $0.name == word }) else { throw .noUser(word) }
    return found.identity
  }

  private static func user(_ line: Substring) -> (name: Substring, identity: Identity)? {
    let fields = line.split(separator: ":", omittingEmptySubsequences: false)
    // Numbers of -1 mean "do not change" to setresuid(2).
    guard fields.count >= 4, !fields[0].isEmpty, let user = UInt32(fields[2]), let group = UInt32(fields[3]),
      user != .max, group != .max
    else { return nil }
    return (fields[0], Identity(user: user, group: group))
  }
}

extension Identity {
  /// Makes this thread, and with glibc every other one, this user for good.
  ///
  /// - Parameter keeping: Keep the permitted capabilities over the change (PR_SET_KEEPCAPS).
  /// - Throws: `.refused`, or `.notDropped` when the old user could be had back.
  func become(keepingCapabilities keeping: Bool) throws(ConfinementError) {
    let wasRoot = geteuid() == 0
    try step("keep capabilities over a change of user") {
      linux_prctl(PR_SET_KEEPCAPS, keeping ? 1 : 0, 0, 0, 0)
    }
    if Capabilities.ofThisThread.contains(.setgid) {
      try step("leave all supplementary groups") { linux_set_groups(nil, 0) }
    }
    try step("become group \(group)") { linux_set_group_ids(group, group, group) }
    try step("become user \(user)") { linux_set_user_ids(user, user, user) }
    try check(wasRoot: wasRoot)
    _ = linux_prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0)
  }

  private func check(wasRoot: Bool) throws(ConfinementError) {
    var users: (UInt32, UInt32, UInt32) = (0, 0, 0), groups: (UInt32, UInt32, UInt32) = (0, 0, 0)
    try step("read the user ids") { linux_get_user_ids(&users.0, &users.1, &users.2) }
    try step("read the group ids") { linux_get_group_ids(&groups.0, &groups.1, &groups.2) }
    guard users == (user, user, user), groups == (group, group, group) else {
      throw .notDropped("another user or group id")
    }
    // With KEEPCAPS the effective set is empty now, so this asks what an ordinary user could do.
    guard wasRoot, user != 0 else { return }
    if setuid(0) == 0 || setgid(0) == 0 && group != 0 { throw .notDropped("the way back to root") }
  }
}

/// The text of a small file; nil when it cannot be read or is larger than `limit` bytes.
func smallFile(_ path: String, limit: Int = 1 << 16) -> String? {
  let descriptor = open(path, O_RDONLY | O_CLOEXEC)
  guard descriptor >= 0 else { return nil }
  defer { close(descriptor) }
  var bytes: [UInt8] = []
  var chunk = [UInt8](repeating: 0, count: 8192)
  while true {
    let count = read(descriptor, &chunk, chunk.count)
    guard count >= 0, bytes.count + count <= limit else { return nil }
    guard count > 0 else { return String(decoding: bytes, as: UTF8.self) }
    bytes += chunk[..<count]
  }
}
