import Glibc

/// Where things are when nobody says so.
///
/// - Source: hier(7) and file-hierarchy(7) for root; the XDG Base Directory
///   Specification 0.8 for everybody else.
struct Paths: Hashable, Sendable {
  /// The policy.
  var policy: String
  /// The audit log.
  var auditLog: String
  /// The control socket.
  var control: String
  /// The directory of what commands have to remember.
  var state: String

  init(user: UInt32 = geteuid(), environment: [String: String]) {
    if user == 0 {
      policy = "/etc/exitgate/policy.yaml"
      auditLog = "/var/log/exitgate/audit.jsonl"
      control = "/run/exitgate/control.sock"
      self.state = "/var/lib/exitgate"
      return
    }
    let home = environment["HOME"] ?? "/"
    let state = absolute(environment["XDG_STATE_HOME"]) ?? "\(home)/.local/state"
    policy = (absolute(environment["XDG_CONFIG_HOME"]) ?? "\(home)/.config") + "/exitgate/policy.yaml"
    auditLog = "\(state)/exitgate/audit.jsonl"
    self.state = "\(state)/exitgate"
    control = (absolute(environment["XDG_RUNTIME_DIR"]) ?? state) + "/exitgate/control.sock"
  }
}

/// The specification has relative paths ignored.
private func absolute(_ path: String?) -> String? {
  guard let path, path.utf8.first == UInt8(ascii: "/") else { return nil }
  return path
}

/// Makes the directories above `path` that are missing, for their owner alone.
///
/// - Returns: Whether the directory is there.
@discardableResult
func makeDirectories(above path: String) -> Bool {
  var made = path.hasPrefix("/") ? "/" : ""
  for part in path.split(separator: "/").dropLast() {
    made += "\(part)/"
    guard mkdir(made, 0o700) == 0 || errno == EEXIST else { return false }
  }
  return true
}
