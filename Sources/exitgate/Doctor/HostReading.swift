import Addressing
import CLinux
import Confinement
import EventLoop
import Firewall
import Glibc
import PolicyFile

extension HostFacts {
  /// Looks at the host, as this process may.
  ///
  /// Nothing is left changed; the kernel may load modules that it has.
  ///
  /// - Parameter gateUser: Whom a gate that starts as root becomes.
  /// - Precondition: The process has one thread.
  static func read(gateUser: UInt32) -> HostFacts {
    var facts = HostFacts()
    // Before anything that could start a thread.
    facts.userNamespaces = .read()
    (facts.kernel, facts.machine) = names()
    (facts.user, facts.capabilities) = (geteuid(), .ofThisThread)
    (facts.gateUser, facts.hasGateUser) = (gateUser, isMapped(gateUser))
    (facts.landlock, facts.hasSeccomp) = (Landlock.abi, SeccompFilter.isAvailable)
    facts.parts = .read(isPermitted: facts.capabilities.contains(.netAdmin))
    facts.controlGroup = .read(isPermitted: facts.capabilities.contains(.netAdmin))
    facts.readNetwork()
    facts.ioUring = tryRing()
    facts.families = Family.tried
    return facts
  }

  private static func names() -> (kernel: String, machine: String) {
    var names = utsname()
    guard uname(&names) == 0 else { return ("unknown", "unknown") }
    return (text(&names.release), text(&names.machine))
  }

  private static func text<Field>(_ field: inout Field) -> String {
    withUnsafeBytes(of: &field) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
  }

  /// - Source: user_namespaces(7), /proc/pid/uid_map: first inside, first outside, count.
  private static func isMapped(_ user: UInt32) -> Bool {
    guard let map = smallText("/proc/self/uid_map") else { return true }
    return map.split(separator: "\n").contains { line in
      let numbers = line.split(separator: " ").compactMap { UInt64($0) }
      return numbers.count == 3 && UInt64(user) >= numbers[0] && UInt64(user) - numbers[0] < numbers[2]
    }
  }

  private mutating func readNetwork() {
    unprivilegedPorts = setting("net/ipv4/ip_unprivileged_port_start").first
    forwards = setting("net/ipv4/ip_forward").first.map { $0 == 1 }
    looksUpMarkedSources = setting("net/ipv4/conf/all/src_valid_mark").first == 1
    trackedFlows = FlowRoom.ofThisHost.most
    tcpLoose = setting("net/netfilter/nf_conntrack_tcp_loose").first
    pingGroups = setting("net/ipv4/ping_group_range").map { UInt32(clamping: $0) }
    let six = localAddresses().filter { !$0.isV4 }
    ipv6 =
      six.isEmpty
      ? .absent
      : six.contains { $0.addressClass == .global || $0.addressClass == .privateUse } ? .routed : .local
    transparent = Self.trySocket(AF_INET, Kind.stream, 0) { descriptor in
      linux_set_transparent(descriptor, AF_INET) == 0
    }
  }

  /// Opens a socket and, where it does, tries `more` with it.
  fileprivate static func trySocket(
    _ family: Int32, _ kind: Int32, _ transport: Int32, _ more: (Int32) -> Bool = { _ in true }
  ) -> Attempt {
    let descriptor = socket(family, kind | Kind.closeOnExec, transport)
    guard descriptor >= 0 else { return failed() }
    defer { close(descriptor) }
    return more(descriptor) ? .done : failed()
  }

  /// By errno(3).
  private static func failed() -> Attempt {
    switch errno {
    case EAFNOSUPPORT, EPROTONOSUPPORT, ESOCKTNOSUPPORT, ENOSYS: .absent
    case let code: .refused(String(cString: strerror(code)))
    }
  }

  /// io_uring_setup(2) with one entry.
  private static func tryRing() -> Attempt {
    // struct io_uring_params: 120 bytes, zeros.
    var parameters = [UInt64](repeating: 0, count: 15)
    // 425 on every architecture.
    let descriptor = parameters.withUnsafeMutableBytes { raw in
      linux_syscall(425, 1, raw.baseAddress.map { Int(bitPattern: $0) } ?? 0, 0, 0, 0, 0)
    }
    guard descriptor >= 0 else { return failed() }
    close(Int32(descriptor))
    return .done
  }
}

extension HostFacts.UserNamespaces {
  fileprivate static func read() -> Self {
    var facts = Self()
    facts.limit = setting("user/max_user_namespaces").first
    facts.isRestrictedByAppArmor = setting("kernel/apparmor_restrict_unprivileged_userns").first.map {
      $0 == 1
    }
    facts.areOpenToAll = setting("kernel/unprivileged_userns_clone").first.map { $0 == 1 }
    NamespaceTrial.run(&facts)
    return facts
  }
}

extension HostFacts.Looked<[HostFacts.Part]> {
  /// Tries the parts of both kinds of table; one that both need is told once.
  fileprivate static func read(isPermitted: Bool) -> Self {
    guard isPermitted else { return .notPermitted }
    var parts: [HostFacts.Part] = []
    do throws(NetfilterError) {
      for (mode, own) in [(KernelProbe.Mode.sidecar, RunMode.sidecar), (.gateway, .gateway)] {
        for finding in try KernelProbe.run(mode) {
          if let index = parts.firstIndex(where: { $0.name == finding.feature }) {
            parts[index].modes.append(own)
            continue
          }
          parts.append(
            HostFacts.Part(
              name: finding.feature, loss: finding.loss, modes: [own], isRequired: finding.isRequired,
              error: finding.error?.description))
        }
      }
    } catch { return error.problem == .notPermitted ? .notPermitted : .failed("\(error)") }
    return .found(parts)
  }
}

extension HostFacts.ControlGroupFacts {
  fileprivate static func read(isPermitted: Bool) -> Self {
    guard let place = CgroupProbe.place() else { return .noHierarchy }
    guard !place.isRoot else { return .root(mount: place.folder) }
    var isMatched: Bool?
    if isPermitted, let finding = try? CgroupProbe.run() {
      isMatched = finding != .matchesNothing
    }
    return .group(
      path: CgroupProbe.path(of: place.folder), others: place.others.count,
      isDelegated: access(place.folder, W_OK) == 0, isMatched: isMatched)
  }
}

extension HostFacts.Family {
  /// Those that lead past the IP stack, or deep into the kernel.
  fileprivate static var tried: [Self] {
    // Numbers of linux/socket.h; the C library of Debian 12 does not name them all.
    let all: [(name: String, family: Int32, kind: Int32, leads: String)] = [
      ("PACKET", 17, Kind.raw, "frames of any kind; the egress chain of a table stops them"),
      ("XDP", 44, Kind.raw, "frames that no table sees"),
      ("VSOCK", 40, Kind.stream, "the host of a virtual machine, past every table"),
      ("BLUETOOTH", 31, Kind.packets, "devices around"), ("TIPC", 30, Kind.packets, "nodes of a cluster"),
      ("SMC", 43, Kind.stream, "TCP's peers by another way"),
      ("KCM", 41, Kind.datagram, "a rarely used part of the kernel"),
      ("ALG", 38, Kind.packets, "a rarely used part of the kernel"),
    ]
    return all.map {
      Self(name: $0.name, leads: $0.leads, opening: HostFacts.trySocket($0.family, $0.kind, 0))
    }
      + [
        Self(
          name: "NETLINK/netfilter", leads: "the code of nf_tables, whose defects have given root away",
          opening: HostFacts.trySocket(AF_NETLINK, Kind.raw, 12))
      ]
  }
}

/// Kinds of sockets by their numbers in socket(2), net.h of Linux: the names of
/// the C header belong to whichever module is compiled first.
private enum Kind {
  static let stream: Int32 = 1, datagram: Int32 = 2, raw: Int32 = 3, packets: Int32 = 5
  static let closeOnExec: Int32 = 0o2000000
}

/// The numbers in a file beneath /proc/sys; none where it is not there.
func setting(_ name: String) -> [Int] {
  (smallText("/proc/sys/\(name)") ?? "").split { $0.isWhitespace }.compactMap { Int($0) }
}

/// The text of a file of at most 4 KiB; nil where it cannot be read.
private func smallText(_ path: String) -> String? {
  let descriptor = open(path, O_RDONLY | O_CLOEXEC)
  guard descriptor >= 0 else { return nil }
  defer { close(descriptor) }
  var bytes = [UInt8](repeating: 0, count: 4096)
  let count = read(descriptor, &bytes, bytes.count)
  return count < 0 ? nil : String(decoding: bytes[..<count], as: UTF8.self)
}
