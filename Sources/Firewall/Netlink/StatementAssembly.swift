import Addressing
import CNetfilter

/// The kernel's expressions of a statement; nil when `expression` is a match.
func statement(_ expression: Expression) -> [KernelExpression]? {
  switch expression {
  case .counter: [KernelExpression("counter")]
  case .count(let name): [.count(name)]
  case .limit(let rate, let burst): [.limit(rate, burst)]
  case .log(let group, let snaplen, let prefix): [.log(group, snaplen, prefix)]
  case .setConnectionMark(let mark): [.immediate(hostOrder(mark)), .setConnectionMark]
  case .setMark(let mark): [.immediate(hostOrder(mark)), .setMark]
  case .setUDPSourcePort(let port): [.immediate(networkOrder(port)), .setUDPSourcePort]
  case .redirect(let port): [.immediate(networkOrder(port)), .redirect]
  case .tproxy(let address, let port):
    [.immediate(address.bytes), .immediate(networkOrder(port), into: .second), .tproxy(isV4: address.isV4)]
  case .masquerade: [KernelExpression("masq")]
  case .rejectReset: [.reject(NFT_REJECT_TCP_RST)]
  case .rejectProhibited:
    [.reject(NFT_REJECT_ICMPX_UNREACH, code: UInt8(NFT_REJECT_ICMPX_ADMIN_PROHIBITED.rawValue))]
  case .accept: [.verdict(NF_ACCEPT)]
  case .drop: [.verdict(NF_DROP)]
  case .return: [.verdict(NFT_RETURN.rawValue)]
  case .jump(let chain): [.verdict(NFT_JUMP.rawValue, chain: chain)]
  case .goto(let chain): [.verdict(NFT_GOTO.rawValue, chain: chain)]
  default: nil
  }
}

extension KernelExpression {
  /// - Parameters:
  ///   - id: Names a set of the same batch that has no name of its own.
  ///   - isMap: Whether what is found goes into the first register.
  static func lookup(
    set: String, id: UInt32? = nil, inverted: Bool = false, isMap: Bool = false
  ) -> KernelExpression {
    var expression = KernelExpression(
      "lookup", (NFTNL_EXPR_LOOKUP_SREG, .word(Register.first.number)), (NFTNL_EXPR_LOOKUP_SET, .text(set)))
    if let id { expression.attributes.append((attribute(NFTNL_EXPR_LOOKUP_SET_ID), .word(id))) }
    if inverted { expression.attributes.append((attribute(NFTNL_EXPR_LOOKUP_FLAGS), .word(1))) }
    if isMap {
      expression.attributes.append((attribute(NFTNL_EXPR_LOOKUP_DREG), .word(Register.first.number)))
    }
    return expression
  }

  static func fib(_ result: nft_fib_result, _ flags: UInt32) -> KernelExpression {
    KernelExpression(
      "fib", (NFTNL_EXPR_FIB_DREG, .word(Register.first.number)),
      (NFTNL_EXPR_FIB_RESULT, .word(result.rawValue)), (NFTNL_EXPR_FIB_FLAGS, .word(flags)))
  }

  /// - Source: `NFT_CONNLIMIT_F_INV` (1) in linux/netfilter/nf_tables.h: it matches above the number.
  static func connectionLimit(_ count: UInt32) -> KernelExpression {
    KernelExpression(
      "connlimit", (NFTNL_EXPR_CONNLIMIT_COUNT, .word(count)), (NFTNL_EXPR_CONNLIMIT_FLAGS, .word(1)))
  }

  static let setConnectionMark = KernelExpression(
    "ct", (NFTNL_EXPR_CT_KEY, .word(NFT_CT_MARK.rawValue)),
    (NFTNL_EXPR_CT_SREG, .word(Register.first.number)))

  static let setMark = KernelExpression(
    "meta", (NFTNL_EXPR_META_KEY, .word(NFT_META_MARK.rawValue)),
    (NFTNL_EXPR_META_SREG, .word(Register.first.number)))

  /// The checksum is 6 bytes behind the port and is kept right.
  ///
  /// - Source: RFC 768; `NFT_PAYLOAD_CSUM_INET` (1) in linux/netfilter/nf_tables.h.
  static let setUDPSourcePort = KernelExpression(
    "payload", (NFTNL_EXPR_PAYLOAD_SREG, .word(Register.first.number)),
    (NFTNL_EXPR_PAYLOAD_BASE, .word(NFT_PAYLOAD_TRANSPORT_HEADER.rawValue)),
    (NFTNL_EXPR_PAYLOAD_OFFSET, .word(0)), (NFTNL_EXPR_PAYLOAD_LEN, .word(2)),
    (NFTNL_EXPR_PAYLOAD_CSUM_TYPE, .word(1)), (NFTNL_EXPR_PAYLOAD_CSUM_OFFSET, .word(6)),
    (NFTNL_EXPR_PAYLOAD_FLAGS, .word(0)))

  /// - Source: `NF_NAT_RANGE_PROTO_SPECIFIED` (2) in linux/netfilter/nf_nat.h.
  static let redirect = KernelExpression(
    "redir", (NFTNL_EXPR_REDIR_REG_PROTO_MIN, .word(Register.first.number)),
    (NFTNL_EXPR_REDIR_FLAGS, .word(2)))

  /// - Source: `NFPROTO_IPV4` (2), `NFPROTO_IPV6` (10) in linux/netfilter.h.
  static func tproxy(isV4: Bool) -> KernelExpression {
    KernelExpression(
      "tproxy", (NFTNL_EXPR_TPROXY_FAMILY, .word(isV4 ? 2 : 10)),
      (NFTNL_EXPR_TPROXY_REG_ADDR, .word(Register.first.number)),
      (NFTNL_EXPR_TPROXY_REG_PORT, .word(Register.second.number)))
  }

  static func reject(_ type: nft_reject_types, code: UInt8 = 0) -> KernelExpression {
    KernelExpression(
      "reject", (NFTNL_EXPR_REJECT_TYPE, .word(type.rawValue)), (NFTNL_EXPR_REJECT_CODE, .byte(code)))
  }

  /// Packets per second.
  static func limit(_ rate: UInt64, _ burst: UInt32) -> KernelExpression {
    KernelExpression(
      "limit", (NFTNL_EXPR_LIMIT_RATE, .long(rate)), (NFTNL_EXPR_LIMIT_UNIT, .long(1)),
      (NFTNL_EXPR_LIMIT_BURST, .word(burst)), (NFTNL_EXPR_LIMIT_TYPE, .word(0)),
      (NFTNL_EXPR_LIMIT_FLAGS, .word(0)))
  }

  static func count(_ name: String) -> KernelExpression {
    KernelExpression(
      "objref", (NFTNL_EXPR_OBJREF_IMM_TYPE, .word(counterType)), (NFTNL_EXPR_OBJREF_IMM_NAME, .text(name)))
  }

  static func log(_ group: UInt16, _ snaplen: UInt32, _ prefix: String) -> KernelExpression {
    KernelExpression(
      "log", (NFTNL_EXPR_LOG_PREFIX, .text(prefix)), (NFTNL_EXPR_LOG_GROUP, .short(group)),
      (NFTNL_EXPR_LOG_SNAPLEN, .word(snaplen)))
  }
}

extension Field {
  /// Loads the field; `length` in bytes, where only its beginning is wanted.
  func load(into register: Register, length: Int? = nil) -> KernelExpression {
    let length = length ?? type.length
    switch self {
    case .skuid: return .meta(NFT_META_SKUID, into: register)
    case .l4proto: return .meta(NFT_META_L4PROTO, into: register)
    case .nfproto: return .meta(NFT_META_NFPROTO, into: register)
    case .iif: return .meta(NFT_META_IIF, into: register)
    case .iifname: return .meta(NFT_META_IIFNAME, into: register)
    case .oifname: return .meta(NFT_META_OIFNAME, into: register)
    case .protocol: return .meta(NFT_META_PROTOCOL, into: register)
    case .mark: return .meta(NFT_META_MARK, into: register)
    case .routeRealm: return .meta(NFT_META_RTCLASSID, into: register)
    case .ctMark: return .ct(NFT_CT_MARK, into: register)
    default: return .payload(place.base, offset: place.offset, length: length, into: register)
    }
  }

  /// Where in the packet it stands, in bytes.
  ///
  /// - Source: RFC 791 §3.1, RFC 8200 §3, RFC 9293 §3.1, RFC 768, RFC 792, RFC 4443 §2.1; IEEE 802.3.
  private var place: (base: nft_payload_bases, offset: Int) {
    switch self {
    case .frameType: (NFT_PAYLOAD_LL_HEADER, 12)
    case .ipSource: (NFT_PAYLOAD_NETWORK_HEADER, 12)
    case .ipDestination: (NFT_PAYLOAD_NETWORK_HEADER, 16)
    case .ip6HopLimit: (NFT_PAYLOAD_NETWORK_HEADER, 7)
    case .ip6Source: (NFT_PAYLOAD_NETWORK_HEADER, 8)
    case .ip6Destination: (NFT_PAYLOAD_NETWORK_HEADER, 24)
    case .anyDestinationPort, .tcpDestinationPort, .udpDestinationPort: (NFT_PAYLOAD_TRANSPORT_HEADER, 2)
    default: (NFT_PAYLOAD_TRANSPORT_HEADER, 0)
    }
  }
}
