import Addressing

/// A packet that a rule logged.
///
/// - Source: linux/netfilter/nfnetlink_log.h.
public struct LoggedPacket: Hashable, Sendable {
  /// What the rule calls it.
  public var prefix: String
  /// Where it was logged: the kernel's number of the hook, 0 prerouting to 4 postrouting.
  public var hook: UInt8
  /// The interfaces by their index; nil where it has none, or none yet.
  public var inInterface: UInt32?
  public var outInterface: UInt32?
  /// The user whose socket sent it; nil for what no socket of this host sent.
  public var uid: UInt32?
  /// Counts the group's packets, so that a gap shows what was lost.
  public var sequence: UInt32?
  /// nil when it is no IP packet, or too short for one.
  public var header: Header?

  /// The addresses of an IP packet and what of its transport is known.
  public struct Header: Hashable, Sendable {
    public var source: IPAddress
    public var destination: IPAddress
    /// The IP protocol number; behind IPv6 extension headers, the last one read.
    public var transport: UInt8
    /// The ports of TCP, UDP, UDP-Lite, SCTP or DCCP; nil in a later fragment.
    public var ports: Ports?
    /// Type and code of ICMP and ICMPv6.
    public var icmp: ICMP?
  }

  public struct Ports: Hashable, Sendable {
    public var source: UInt16, destination: UInt16
  }

  public struct ICMP: Hashable, Sendable {
    public var type: UInt8, code: UInt8
  }
}

extension LoggedPacket {
  /// What it is counted as; nil for a packet that no rule of ours logged.
  public var heldback: Heldback? { Heldback(prefix: prefix) }

  /// Whether it went on its way: enforce mode would have denied it.
  public var hasPassed: Bool { heldback?.cause == .audited }

  /// Reads the attributes of a message; what is missing or misshapen is nil.
  init(_ attributes: Attributes) {
    prefix = attributes.text(10) ?? ""
    hook = attributes[1].flatMap { $0.count >= 3 ? $0[$0.startIndex + 2] : nil } ?? 0
    inInterface = attributes.number(4)
    outInterface = attributes.number(5)
    uid = attributes.number(11)
    sequence = attributes.number(12)
    header = attributes[9].flatMap { Header(packet: $0) }
  }
}

extension LoggedPacket.Header {
  /// Reads an IP packet, of which the end may be cut off.
  ///
  /// - Returns: nil when the fixed header is not whole.
  /// - Source: RFC 791 §3.1, RFC 8200 §3.
  init?(packet: ArraySlice<UInt8>) {
    switch (packet.first ?? 0) >> 4 {
    case 4: self.init(v4: packet)
    case 6: self.init(v6: packet)
    default: return nil
    }
  }

  private init?(v4 packet: ArraySlice<UInt8>) {
    guard packet.count >= 20, let first = packet.first,
      let source = IPAddress(networkOrder: packet.dropFirst(12).prefix(4)),
      let destination = IPAddress(networkOrder: packet.dropFirst(16).prefix(4))
    else { return nil }
    let length = Int(first & 0x0f) * 4
    guard length >= 20 else { return nil }
    let fragment: UInt16 = packet.networkOrder(at: 6)
    self.init(source, destination, transport: packet[packet.startIndex + 9])
    if fragment & 0x1fff == 0 { readTransport(packet.dropFirst(length)) }
  }

  private init?(v6 packet: ArraySlice<UInt8>) {
    guard packet.count >= 40, let source = IPAddress(networkOrder: packet.dropFirst(8).prefix(16)),
      let destination = IPAddress(networkOrder: packet.dropFirst(24).prefix(16))
    else { return nil }
    self.init(source, destination, transport: packet[packet.startIndex + 6])
    readExtensions(packet.dropFirst(40))
  }

  private init(_ source: IPAddress, _ destination: IPAddress, transport: UInt8) {
    self.source = source
    self.destination = destination
    self.transport = transport
  }

  /// Walks the extension headers; each step consumes at least 8 bytes.
  ///
  /// - Source: RFC 8200 §4: hop-by-hop 0, routing 43, fragment 44, destination
  ///   options 60; RFC 4302: authentication 51, which counts its length in 4 bytes.
  private mutating func readExtensions(_ bytes: ArraySlice<UInt8>) {
    var rest = bytes
    while [0, 43, 44, 51, 60].contains(transport) {
      guard rest.count >= 8 else { return }
      let start = rest.startIndex, count = Int(rest[start + 1])
      let isLaterFragment = transport == 44 && (rest.networkOrder(at: 2) as UInt16) & 0xfff8 != 0
      let length = transport == 44 ? 8 : transport == 51 ? (count + 2) * 4 : (count + 1) * 8
      transport = rest[start]
      if isLaterFragment { return }
      rest = rest.dropFirst(length)
    }
    readTransport(rest)
  }

  private mutating func readTransport(_ bytes: ArraySlice<UInt8>) {
    guard bytes.count >= 2 else { return }
    let start = bytes.startIndex
    switch transport {
    case 6, 17, 33, 132, 136:
      guard bytes.count >= 4 else { return }
      ports = .init(source: bytes.networkOrder(at: 0), destination: bytes.networkOrder(at: 2))
    case 1, 58: icmp = .init(type: bytes[start], code: bytes[start + 1])
    default: return
    }
  }
}
