import Addressing
import CNetfilter
import Glibc

/// Finds out how a rule can name the control group of this process.
public enum CgroupProbe {
  public enum Finding: Hashable, Sendable {
    /// A rule with this group matches this process's sockets. `others` are the
    /// processes of the group beside this one, 0 for those of other process
    /// namespaces; each of them would be exempt too.
    case matches(ControlGroup, others: [Int32])
    /// This process is in the root group, as everything is that nobody placed.
    case isRoot
    /// No cgroup2 file system is mounted where its folder can be read.
    case noHierarchy
    /// The folder is there, and no level of it counts this process's packets.
    case matchesNothing
  }

  /// Installs counting rules for levels 0 to 8, sends one datagram to itself on
  /// loopback and looks which level counted it.
  public static func run() throws(NetfilterError) -> Finding {
    guard let place = place(), let id = inode(place.folder) else { return .noHierarchy }
    guard !place.isRoot else { return .isRoot }
    let path = path(of: place.folder)
    guard let level = try countingLevel(id: id, path: path) else { return .matchesNothing }
    return .matches(ControlGroup(level: level, id: id, path: path), others: place.others)
  }

  /// Where this process stands, without asking netfilter.
  public struct Place: Hashable, Sendable {
    /// The folder of its group.
    public var folder: String
    /// Whether that is the root group.
    public var isRoot: Bool
    /// The group's other processes, 0 for those of other process namespaces.
    public var others: [Int32]
  }

  /// Looks at the tree of groups; nil where no cgroup2 file system is mounted where it can be read.
  public static func place() -> Place? {
    guard let folder = ownFolder(), inode(folder) != nil else { return nil }
    let processes = (readText(folder + "/cgroup.procs") ?? "").split(separator: "\n").compactMap { Int32($0) }
    return Place(
      folder: folder,
      // The root is the one group that has no events.
      isRoot: inode(folder + "/cgroup.events") == nil, others: processes.filter { $0 != getpid() })
  }

  private static func countingLevel(id: UInt64, path: String) throws(NetfilterError) -> UInt32? {
    guard let mirror = LoopbackSocket() else { return nil }
    let levels = UInt32(0)...8
    let rules = levels.map { level in
      Rule(
        .compare(.udpDestinationPort, .port(mirror.port)),
        .socketCgroup(ControlGroup(level: level, id: id, path: path)), .counter)
    }
    let base = Chain.Base(.filter, .output, priority: 0, policy: .accept)
    let name = KernelProbe.scratchName
    let socket = try NetfilterSocket()
    try socket.claim([Table(name, chains: [Chain("levels", base, rules: rules)])], ownership: .plain)
    defer { try? socket.remove(name) }
    mirror.sendToItself()
    let counters = try socket.counters(in: name)
    return zip(levels, counters).first { $0.1.packets > 0 }?.0
  }

  /// The folder of this process's group.
  static func ownFolder() -> String? {
    guard let mounts = readText("/proc/self/mountinfo"), let groups = readText("/proc/self/cgroup") else {
      return nil
    }
    return folder(mountinfo: mounts, cgroup: groups)
  }

  /// - Source: proc(5), /proc/pid/mountinfo; cgroups(7), /proc/pid/cgroup: the
  ///   line of cgroup2 begins with `0::`.
  static func folder(mountinfo: String, cgroup: String) -> String? {
    guard let line = cgroup.split(separator: "\n").first(where: { $0.hasPrefix("0::/") }) else { return nil }
    let path = line.dropFirst(3)
    for mount in mountinfo.split(separator: "\n") {
      let fields = mount.split(separator: " ")
      guard let dash = fields.firstIndex(of: "-"), fields.count > dash + 1, fields[dash + 1] == "cgroup2",
        fields.count > 5
      else { continue }
      let root = fields[3] == "/" ? "" : fields[3]
      guard path == root || path.hasPrefix(root + "/") || root.hasPrefix("/..") else { continue }
      let below = root.hasPrefix("/..") ? path : path.dropFirst(root.count)
      return String(fields[4]) + (below == "/" ? "" : below)
    }
    return nil
  }

  /// The path as nft(8) reads it: from /sys/fs/cgroup.
  public static func path(of folder: String) -> String {
    let base = "/sys/fs/cgroup/"
    // A container sees its own group as the root.
    guard folder + "/" != base else { return "" }
    return folder.hasPrefix(base) ? String(folder.dropFirst(base.count)) : "../../..\(folder)"
  }
}

/// The number of a file, which for a folder of cgroup2 is the group's id.
func inode(_ path: String) -> UInt64? {
  var status = stat()
  return stat(path, &status) == 0 ? UInt64(status.st_ino) : nil
}

/// The whole of a small file; nil when it cannot be read.
func readText(_ path: String) -> String? {
  let descriptor = open(path, O_RDONLY | O_CLOEXEC)
  guard descriptor >= 0 else { return nil }
  defer { close(descriptor) }
  var bytes: [UInt8] = []
  var buffer = [UInt8](repeating: 0, count: 16384)
  while true {
    let count = read(descriptor, &buffer, buffer.count)
    guard count >= 0 else { return nil }
    if count == 0 { return String(decoding: bytes, as: UTF8.self) }
    bytes += buffer[..<count]
  }
}

/// A UDP socket on 127.0.0.1 that sends to itself.
private final class LoopbackSocket {
  private let descriptor: Int32
  private var address = sockaddr_in()
  var port: UInt16 { UInt16(bigEndian: address.sin_port) }

  init?() {
    descriptor = socket(AF_INET, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let isBound = withUnsafeMutablePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(descriptor, $0, length) == 0 && getsockname(descriptor, $0, &length) == 0
      }
    }
    guard isBound else { return nil }
  }

  deinit { close(descriptor) }

  func sendToItself() {
    withUnsafePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        _ = sendto(descriptor, "x", 1, 0, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
      }
    }
  }
}
