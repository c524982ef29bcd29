import Glibc
import SystemPackage

/// What a process may do, as the kernel tells it.
///
/// - Source: proc_pid_status(5).
public struct ProcessReport: Hashable, Sendable {
  /// The process or thread.
  public var pid: Int32
  /// Its name, at most 15 bytes.
  public var name: String
  /// The user and the group it acts as.
  public var identity: Identity
  /// Supplementary groups.
  public var groups: [UInt32]
  public var capabilities: CapabilitySets
  /// Whether no execve(2) can give it more.
  public var hasNoNewPrivileges: Bool
  /// Whether a seccomp filter is in force.
  public var isFiltered: Bool
  /// How many filters are; nil before Linux 5.9.
  public var filters: Int?

  /// Reads the main thread of a process; nil when it is gone or cannot be seen.
  public static func read(_ pid: Int32 = getpid()) -> ProcessReport? {
    smallFile("/proc/\(pid)/status").flatMap(ProcessReport.init)
  }

  /// Every thread of a process, in the order of their numbers.
  public static func threads(of pid: Int32 = getpid()) -> [ProcessReport] {
    ThreadCount.threads(of: pid).compactMap { thread in
      smallFile("/proc/\(pid)/task/\(thread)/status").flatMap(ProcessReport.init)
    }
  }

  /// What the process can do by whichever of its threads may do the most.
  public static func weakest(of pid: Int32 = getpid()) -> ProcessReport? {
    guard var report = read(pid) else { return nil }
    for thread in threads(of: pid) {
      report.capabilities.formUnion(thread.capabilities)
      report.hasNoNewPrivileges = report.hasNoNewPrivileges && thread.hasNoNewPrivileges
      report.isFiltered = report.isFiltered && thread.isFiltered
      report.filters = min(report.filters ?? 0, thread.filters ?? 0)
      if thread.identity.user == 0 { report.identity = thread.identity }
    }
    return report
  }

  /// Reads the text of a status file.
  public init?(_ text: String) {
    var fields: [Substring: Substring] = [:]
    for line in text.split(separator: "\n") {
      guard let colon = line.firstIndex(of: ":") else { continue }
      fields[line[..<colon]] = line[line.index(after: colon)...].drop { $0 == "\t" || $0 == " " }
    }
    func numbers(_ name: Substring) -> [UInt32] {
      (fields[name] ?? "").split { $0 == "\t" || $0 == " " }.compactMap { UInt32($0) }
    }
    func set(_ name: Substring) -> Capabilities? {
      fields[name].flatMap { UInt64($0, radix: 16) }.map { Capabilities(rawValue: $0) }
    }
    guard let pid = fields["Pid"].flatMap({ Int32($0) }), let name = fields["Name"],
      numbers("Uid").count == 4, numbers("Gid").count == 4,
      let effective = set("CapEff"), let permitted = set("CapPrm"), let inheritable = set("CapInh"),
      let bounding = set("CapBnd")
    else { return nil }
    (self.pid, self.name) = (pid, String(name))
    identity = Identity(user: numbers("Uid")[1], group: numbers("Gid")[1])
    groups = numbers("Groups")
    capabilities = CapabilitySets(
      effective: effective, permitted: permitted, inheritable: inheritable, bounding: bounding,
      ambient: set("CapAmb") ?? [])
    hasNoNewPrivileges = numbers("NoNewPrivs") == [1]
    isFiltered = numbers("Seccomp") == [2]
    filters = numbers("Seccomp_filters").first.map(Int.init)
  }
}

extension CapabilitySets {
  fileprivate mutating func formUnion(_ other: CapabilitySets) {
    effective.formUnion(other.effective)
    permitted.formUnion(other.permitted)
    inheritable.formUnion(other.inheritable)
    bounding.formUnion(other.bounding)
    ambient.formUnion(other.ambient)
  }
}

/// How many threads a process has.
public enum ThreadCount {
  /// Whether this process has the one thread that called.
  public static var isSingle: Bool { threads(of: getpid()).count == 1 }

  /// The numbers of its threads, ascending; none when it is gone.
  static func threads(of pid: Int32) -> [Int32] {
    guard let directory = opendir("/proc/\(pid)/task") else { return [] }
    defer { closedir(directory) }
    var found: [Int32] = []
    while let entry = readdir(directory) {
      let name = withUnsafeBytes(of: &entry.pointee.d_name) { raw in
        String(decoding: raw.prefix { $0 != 0 }, as: UTF8.self)
      }
      if let number = Int32(name) { found.append(number) }
    }
    return found.sorted()
  }
}
