/// What a rule can look at. The raw value is how nft(8) writes it.
public enum Field: String, Hashable, Sendable, CaseIterable {
  case skuid = "meta skuid"
  case l4proto = "meta l4proto"
  case nfproto = "meta nfproto"
  /// The device by its number, which a later one may get once the device is gone.
  case iif = "iif"
  case iifname = "iifname"
  case oifname = "oifname"
  case `protocol` = "meta protocol"
  case mark = "meta mark"
  /// The realm of a packet's route: there for what the kernel's IP stack
  /// routed, absent for a frame that a packet socket made.
  case routeRealm = "meta rtclassid"
  case ipSource = "ip saddr"
  case ipDestination = "ip daddr"
  case ip6Source = "ip6 saddr"
  case ip6Destination = "ip6 daddr"
  case ip6HopLimit = "ip6 hoplimit"
  case anyDestinationPort = "th dport"
  case anySourcePort = "th sport"
  case tcpSourcePort = "tcp sport"
  case tcpDestinationPort = "tcp dport"
  case udpSourcePort = "udp sport"
  case udpDestinationPort = "udp dport"
  case icmpType = "icmp type"
  case icmpv6Type = "icmpv6 type"
  case ctMark = "ct mark"
  /// The EtherType as it stands in the frame, which need not be what its
  /// sender told the kernel (`meta protocol`).
  case frameType = "@ll,96,16"

  var type: DataType {
    switch self {
    case .skuid: .uid
    case .l4proto: .inetProtocol
    case .nfproto: .nfproto
    case .iif: .interfaceIndex
    case .iifname, .oifname: .interfaceName
    case .protocol, .frameType: .etherType
    case .mark, .ctMark: .mark
    case .routeRealm: .realm
    case .ipSource, .ipDestination: .ipv4Address
    case .ip6Source, .ip6Destination: .ipv6Address
    case .ip6HopLimit: .integer
    case .anyDestinationPort, .anySourcePort, .tcpSourcePort, .tcpDestinationPort, .udpSourcePort,
      .udpDestinationPort:
      .inetService
    case .icmpType: .icmpType
    case .icmpv6Type: .icmpv6Type
    }
  }

  /// What must hold before the field means anything. nft(8) adds these
  /// comparisons silently when it reads text; the netlink renderer adds them
  /// where a rule does not make them itself.
  var requirements: [Requirement] {
    switch self {
    case .ipSource, .ipDestination: [.nfproto(2)]
    case .ip6Source, .ip6Destination, .ip6HopLimit: [.nfproto(10)]
    case .tcpSourcePort, .tcpDestinationPort: [.l4proto(6)]
    case .udpSourcePort, .udpDestinationPort: [.l4proto(17)]
    case .icmpType: [.nfproto(2), .l4proto(1)]
    case .icmpv6Type: [.nfproto(10), .l4proto(58)]
    default: []
    }
  }

  enum Requirement: Hashable {
    case nfproto(UInt8)
    case l4proto(UInt8)
  }
}
