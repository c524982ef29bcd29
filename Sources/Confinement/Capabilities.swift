import CLinux
import Glibc
import SystemPackage

/// A set of capabilities, one bit each.
///
/// - Source: capabilities(7); the numbers and names are those of
///   linux/capability.h without `CAP_`, in lower case.
public struct Capabilities: OptionSet, Hashable, Sendable, CustomStringConvertible {
  public let rawValue: UInt64

  public init(rawValue: UInt64) { self.rawValue = rawValue }

  private init(number: Int) { rawValue = 1 << UInt64(number) }

  /// The names in the order of their numbers.
  static let names = [
    "chown", "dac_override", "dac_read_search", "fowner", "fsetid", "kill", "setgid", "setuid", "setpcap",
    "linux_immutable", "net_bind_service", "net_broadcast", "net_admin", "net_raw", "ipc_lock", "ipc_owner",
    "sys_module", "sys_rawio", "sys_chroot", "sys_ptrace", "sys_pacct", "sys_admin", "sys_boot", "sys_nice",
    "sys_resource", "sys_time", "sys_tty_config", "mknod", "lease", "audit_write", "audit_control", "setfcap",
    "mac_override", "mac_admin", "syslog", "wake_alarm", "block_suspend", "audit_read", "perfmon", "bpf",
    "checkpoint_restore",
  ]

  /// Give files to others.
  public static let chown = Self(number: 0)
  /// Read and write files whoever owns them.
  public static let dacOverride = Self(number: 1)
  /// Read files and directories whoever owns them.
  public static let dacReadSearch = Self(number: 2)
  /// Change the mode of files whoever owns them.
  public static let fowner = Self(number: 3)
  /// Send signals to anybody.
  public static let kill = Self(number: 5)
  /// Change group ids.
  public static let setgid = Self(number: 6)
  /// Change user ids.
  public static let setuid = Self(number: 7)
  /// Take capabilities out of the bounding set.
  public static let setpcap = Self(number: 8)
  /// Bind ports below 1024.
  public static let netBindService = Self(number: 10)
  /// Change the network: nf_tables, routes, IP_TRANSPARENT.
  public static let netAdmin = Self(number: 12)
  /// Raw and packet sockets, any source address.
  public static let netRaw = Self(number: 13)
  /// Trace any process.
  public static let sysPtrace = Self(number: 19)
  /// Mounts, namespaces, and much else.
  public static let sysAdmin = Self(number: 21)

  /// `none`, or names separated by commas; a bit without a name by its number.
  public var description: String { isEmpty ? "none" : words.joined(separator: ",") }

  /// The names, in the order of their numbers.
  public var words: [String] {
    (0..<64).filter { rawValue >> UInt64($0) & 1 == 1 }
      .map { Self.names.indices.contains($0) ? Self.names[$0] : "\($0)" }
  }
}

/// The five sets of a thread.
///
/// - Source: capabilities(7), "Thread capability sets"; proc_pid_status(5).
public struct CapabilitySets: Hashable, Sendable {
  /// What it may do.
  public var effective: Capabilities
  /// What it may take up again.
  public var permitted: Capabilities
  /// What is kept over an execve(2) of a file that has it too.
  public var inheritable: Capabilities
  /// What an execve(2) can give at most.
  public var bounding: Capabilities
  /// What is kept over any execve(2).
  public var ambient: Capabilities

  /// Makes the sets.
  public init(
    effective: Capabilities = [], permitted: Capabilities = [], inheritable: Capabilities = [],
    bounding: Capabilities = [], ambient: Capabilities = []
  ) {
    (self.effective, self.permitted, self.inheritable) = (effective, permitted, inheritable)
    (self.bounding, self.ambient) = (bounding, ambient)
  }

  /// Whether the thread has nothing beyond `kept` and can get nothing beyond it
  /// by itself; the bounding set gives nothing without an execve(2) and is not asked.
  public func isWithin(_ kept: Capabilities) -> Bool {
    effective.union(permitted).union(inheritable).union(ambient).subtracting(kept).isEmpty
  }
}

extension Capabilities {
  /// Those of the calling thread that it may use now.
  public static var ofThisThread: Capabilities {
    var sets = linux_capabilities()
    return linux_get_capabilities(&sets) == 0 ? Self(rawValue: sets.effective) : []
  }

  /// Takes everything else out of the bounding set, where the thread may (CAP_SETPCAP).
  ///
  /// Without it the set stays: with no_new_privs it gives nothing.
  func limitBounding() throws(ConfinementError) {
    guard Self.ofThisThread.contains(.setpcap) else { return }
    for number in 0..<64 where rawValue >> UInt64(number) & 1 == 0 {
      guard linux_prctl(PR_CAPBSET_READ, UInt(number), 0, 0, 0) == 1 else { continue }
      try step("take a capability out of the bounding set") {
        linux_prctl(PR_CAPBSET_DROP, UInt(number), 0, 0, 0)
      }
    }
  }

  /// Leaves the calling thread with those of `self` that it is permitted, in the
  /// effective and permitted sets; the inheritable and ambient sets become empty.
  ///
  /// - Returns: What it has now, read back from the kernel.
  /// - Throws: `.refused`, or `.notDropped` when more is there than wanted.
  @discardableResult
  func applyToThisThread() throws(ConfinementError) -> Capabilities {
    var sets = linux_capabilities()
    try step("read the capabilities") { linux_get_capabilities(&sets) }
    let kept = sets.permitted & rawValue
    sets = linux_capabilities(effective: kept, permitted: kept, inheritable: 0)
    // A capability outside the permitted or inheritable set leaves the ambient set by itself; this clears the rest.
    try step("clear the ambient capabilities") {
      linux_prctl(PR_CAP_AMBIENT, UInt(PR_CAP_AMBIENT_CLEAR_ALL), 0, 0, 0)
    }
    try step("drop capabilities") { linux_set_capabilities(&sets) }
    var now = linux_capabilities()
    try step("read the capabilities") { linux_get_capabilities(&now) }
    guard now.effective == kept, now.permitted == kept, now.inheritable == 0 else {
      throw .notDropped("a capability (\(Self(rawValue: (now.permitted | now.inheritable) & ~kept)))")
    }
    return Self(rawValue: kept)
  }
}
