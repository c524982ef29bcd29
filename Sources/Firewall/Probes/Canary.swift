import Addressing
import CNetfilter
import Glibc

/// Packets that a table has to deny, sent to see whether it does.
///
/// Where the table holds what this host sends, their way is that of any packet to a stranger: out by a device that leads
/// out, through the whole output chain. Yet none could leave the host even if
/// no table were there. IPv4: all hosts (224.0.0.1) with a time to live of 0,
/// which every host is a member of, so the kernel keeps it. IPv6: a group of
/// the documentation block with interface-local scope, which the kernel never
/// puts on a link. Where the table holds what comes in, they go to the
/// loopback addresses, and so through the whole prerouting hook.
///
/// - Source: RFC 1112 §6.1 (a time to live of 0 stays on the host); RFC 4291
///   §2.7 and RFC 6676 §3 (ff01::db8:0:0/96); RFC 863 (port 9, discard).
public final class Canary {
  /// By what a rule knows the packets of one canary, and no one else's.
  public struct Mark: Hashable, Sendable {
    /// Whose sockets they are.
    public var uid: UInt32
    /// The port that the sockets hold.
    public var sourcePort: UInt16
    /// Which hook they are sent through.
    public var way: Way

    public init(uid: UInt32, sourcePort: UInt16, way: Way = .out) {
      (self.uid, self.sourcePort, self.way) = (uid, sourcePort, way)
    }

    /// IPv4 and IPv6.
    var destinations: [IPAddress] {
      switch way {
      case .out: [.v4(0xe000_0001), .v6(high: 0xff01 << 48, low: 0x0db8_0000_0009)]
      case .in: [.v4(0x7f00_0001), .v6(high: 0, low: 1)]
      }
    }
    static let port: UInt16 = 9
    /// The comment of the rules that count them.
    static let comment = "canary"
  }

  /// The hook that a table denies in.
  public enum Way: Hashable, Sendable {
    /// Output: what this host sends.
    case out
    /// Prerouting: what comes in.
    case `in`
  }

  /// What became of one round.
  public enum Finding: Hashable, Sendable {
    /// Each packet was counted by the rule that denies it.
    case counted
    /// Some were not: they passed, or something before the table took them.
    case missed
    /// No device took a packet; nothing else could leave by one either.
    case unsent
  }

  public let mark: Mark
  private let sockets: [Int32]
  private var devices: [UInt32]

  /// Opens the sockets, in the network namespace of the calling thread; sending
  /// takes no privilege and no other socket.
  ///
  /// - Parameter devices: Those that lead out; nil where what comes in is to be proved.
  public init(devices: [String]?) throws(NetfilterError) {
    self.devices = devices.map(Self.indices) ?? [0]
    let way: Way = devices == nil ? .in : .out
    // Another program may hold the port that the first socket got for the other family.
    for _ in 0..<16 {
      let four = Self.socket(AF_INET, port: 0)
      guard let four, let port = Self.port(of: four) else { break }
      let six = Self.socket(AF_INET6, port: port)
      if six == nil, errno == EADDRINUSE {
        close(four)
        continue
      }
      (sockets, mark) = ([four] + (six.map { [$0] } ?? []), Mark(uid: geteuid(), sourcePort: port, way: way))
      return
    }
    throw NetfilterError("open a socket that tries the table", errno: errno)
  }

  private static func indices(_ devices: [String]) -> [UInt32] {
    devices.map { if_nametoindex($0) }.filter { $0 != 0 }
  }

  /// Sends by the devices of these numbers from now on. A confined process cannot ask for a name's.
  public func follow(_ devices: [UInt32]) { self.devices = devices }

  deinit { sockets.forEach { _ = close($0) } }

  /// - Returns: nil with errno set.
  private static func socket(_ family: Int32, port: UInt16) -> Int32? {
    let kind = Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue)
    let descriptor = Glibc.socket(family, kind, 0)
    guard descriptor >= 0 else { return nil }
    let isV4 = family == AF_INET
    let level = Int32(isV4 ? IPPROTO_IP : Int(IPPROTO_IPV6))
    let isSet =
      set(descriptor, level, isV4 ? IP_MULTICAST_TTL : IPV6_MULTICAST_HOPS, to: 0)
      && set(descriptor, level, isV4 ? IP_MULTICAST_LOOP : IPV6_MULTICAST_LOOP, to: 0)
      && (isV4 || set(descriptor, level, IPV6_V6ONLY, to: 1))
      // Nobody reads what strangers send there; it fills no more than this.
      && set(descriptor, SOL_SOCKET, SO_RCVBUF, to: 1)
    guard isSet, withAddress(isV4 ? .v4(0) : .v6(high: 0, low: 0), port, { bind(descriptor, $0, $1) }) == 0
    else {
      let error = errno
      close(descriptor)
      errno = error
      return nil
    }
    return descriptor
  }

  private static func set(_ descriptor: Int32, _ level: Int32, _ option: Int32, to value: Int32) -> Bool {
    withUnsafePointer(to: value) { setsockopt(descriptor, level, option, $0, 4) == 0 }
  }

  private static func port(of descriptor: Int32) -> UInt16? {
    var address = sockaddr_in()
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    return withUnsafeMutablePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        getsockname(descriptor, $0, &length) == 0
      }
    } ? UInt16(bigEndian: address.sin_port) : nil
  }

  /// Sends one packet by each device and family.
  ///
  /// - Returns: How many a device would have taken: sent, or refused by a table.
  func send() -> UInt64 {
    var sent: UInt64 = 0
    for device in devices {
      for (descriptor, destination) in zip(sockets, mark.destinations) {
        if mark.way == .out, destination.isV4, !Self.direct(descriptor, by: device) { continue }
        let result = withAddress(destination, Mark.port, device: device) {
          sendto(descriptor, "x", 1, 0, $0, $1)
        }
        if result == 1 || errno == EPERM { sent += 1 }
      }
    }
    return sent
  }

  /// IPv6 names the device in the address.
  private static func direct(_ descriptor: Int32, by device: UInt32) -> Bool {
    var request = ip_mreqn()
    request.imr_ifindex = Int32(device)
    return setsockopt(
      descriptor, Int32(IPPROTO_IP), IP_MULTICAST_IF, &request, socklen_t(MemoryLayout<ip_mreqn>.size)) == 0
  }
}

extension Canary.Mark {
  /// They are counted and dropped before anything is logged: their number is no agent's.
  var rules: [Rule] {
    matches.map { Rule($0 + [.counter, .drop], comment: Self.comment) }
  }

  /// Sends them to the chain that denies; elsewhere they come to it by themselves.
  var entry: [Rule] { matches.map { Rule($0 + [.goto("deny")]) } }

  /// One list for each family.
  private var matches: [[Expression]] {
    destinations.map { address in
      [
        .compare(address.isV4 ? .ipDestination : .ip6Destination, .address(address)),
        // Nobody else can hold the port.
        .compare(.udpSourcePort, .port(sourcePort)),
        // A packet that comes in is nobody's any more.
        way == .out ? .compare(.skuid, .number(uid)) : .compare(.iifname, .interface("lo")),
      ]
    }
  }
}

extension NetfilterSocket {
  /// Sends a canary's packets and looks whether the table counted each.
  ///
  /// - Precondition: The table has the rules of the canary's mark.
  public func prove(_ table: TableName, by canary: Canary) throws(NetfilterError) -> Canary.Finding {
    let before = try counted(in: table)
    let sent = canary.send()
    guard sent > 0 else { return .unsent }
    // What comes in is taken up a moment later where the processor is busy.
    for _ in 0..<(canary.mark.way == .in ? Self.patience : 0) where try counted(in: table) - before < sent {
      usleep(2000)
    }
    return try counted(in: table) - before >= sent ? .counted : .missed
  }

  /// In looks, 2 ms apart.
  private static let patience = 100

  private func counted(in table: TableName) throws(NetfilterError) -> Int64 {
    try counters(in: table, chain: "deny").filter { $0.comment == Canary.Mark.comment }
      .reduce(0) { $0 + Int64(clamping: $1.packets) }
  }
}

/// Calls `body` with the address as the kernel reads it.
private func withAddress<Result>(
  _ address: IPAddress, _ port: UInt16, device: UInt32 = 0,
  _ body: (UnsafePointer<sockaddr>, socklen_t) -> Result
) -> Result {
  if address.isV4 {
    var four = sockaddr_in()
    four.sin_family = sa_family_t(AF_INET)
    four.sin_port = port.bigEndian
    withUnsafeMutableBytes(of: &four.sin_addr) { $0.copyBytes(from: address.bytes) }
    return pass(four, body)
  }
  var six = sockaddr_in6()
  six.sin6_family = sa_family_t(AF_INET6)
  six.sin6_port = port.bigEndian
  six.sin6_scope_id = device
  withUnsafeMutableBytes(of: &six.sin6_addr) { $0.copyBytes(from: address.bytes) }
  return pass(six, body)
}

private func pass<Address, Result>(
  _ address: Address, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Result
) -> Result {
  withUnsafePointer(to: address) { pointer in
    pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
      body($0, socklen_t(MemoryLayout<Address>.size))
    }
  }
}
