import Addressing
import CNetfilter

/// Turns one rule into the kernel's expressions, and collects the anonymous
/// sets that it looks into.
struct RuleAssembly {
  private(set) var expressions: [KernelExpression] = []
  private(set) var anonymousSets: [(id: UInt32, type: DataType, elements: [[UInt8]])] = []
  /// What the rule has established so far.
  private var known: Set<Field.Requirement> = []
  private let nextSetID: () -> UInt32

  /// - Throws: `invalidValue` when a value does not fit its field.
  init(_ rule: Rule, nextSetID: @escaping () -> UInt32) throws(NetfilterError) {
    self.nextSetID = nextSetID
    for expression in rule.expressions {
      guard let assembled = try? assemble(expression), assembled else {
        throw NetfilterError("assemble the rule '\(rule.text)'", .invalidValue)
      }
    }
  }

  /// - Returns: Whether a match or a statement was made of it.
  private mutating func assemble(_ expression: Expression) throws -> Bool {
    if try assembleMatch(expression) { return true }
    guard let statement = statement(expression) else { return false }
    expressions += statement
    return true
  }

  private mutating func assembleMatch(_ expression: Expression) throws -> Bool {
    switch expression {
    case .compare(let field, let datum, let comparison): try compare(field, comparison, datum)
    case .oneOf(let field, let data): try oneOf(field, data)
    case .lookup(let fields, let set, let comparison): lookup(fields, comparison, set)
    case .mapConnectionMark(let fields, let map): mapConnectionMark(fields, map)
    case .state(let states): maskedConnection(NFT_CT_STATE, states.reduce(0) { $0 | $1.rawValue })
    case .statusDNAT: maskedConnection(NFT_CT_STATUS, word(IPS_DST_NAT))
    case .direction(let direction):
      expressions += [.ct(NFT_CT_DIRECTION), .compare(NFT_CMP_EQ, [direction.rawValue])]
    case .notSYN: notSYN()
    case .flowsOver(let count): expressions.append(.connectionLimit(count))
    case .destinationIsLocal:
      expressions += [
        .fib(NFT_FIB_RESULT_ADDRTYPE, word(NFTA_FIB_F_DADDR)), .compare(NFT_CMP_EQ, hostOrder(2)),
      ]
    case .sourceIsForeign:
      expressions += [
        .fib(NFT_FIB_RESULT_ADDRTYPE, word(NFTA_FIB_F_SADDR)), .compare(NFT_CMP_NEQ, hostOrder(2)),
      ]
    case .sourceRouteMissing:
      let flags = word(NFTA_FIB_F_SADDR) | word(NFTA_FIB_F_IIF) | word(NFTA_FIB_F_PRESENT)
      expressions += [.fib(NFT_FIB_RESULT_OIF, flags), .compare(NFT_CMP_EQ, hostOrder(0))]
    case .socketCgroup(let group): socketCgroup(group)
    case .hasRoutingHeader: hasRoutingHeader()
    default: return false
    }
    return true
  }

  // MARK: Fields

  /// Adds the comparisons without which `field` means nothing.
  private mutating func require(_ field: Field) {
    for requirement in field.requirements where known.insert(requirement).inserted {
      switch requirement {
      case .nfproto(let number):
        expressions += [.meta(NFT_META_NFPROTO, into: .first), .compare(NFT_CMP_EQ, [number])]
      case .l4proto(let number):
        expressions += [.meta(NFT_META_L4PROTO, into: .first), .compare(NFT_CMP_EQ, [number])]
      }
    }
  }

  /// Notes what a comparison establishes, so that it is not made twice.
  private mutating func note(_ field: Field, _ value: [UInt8]) {
    guard let byte = value.first else { return }
    if field == .nfproto { known.insert(.nfproto(byte)) }
    if field == .l4proto { known.insert(.l4proto(byte)) }
  }

  private mutating func compare(
    _ field: Field, _ comparison: Expression.Comparison, _ datum: Datum
  ) throws {
    require(field)
    switch datum {
    case .prefix(let prefix) where prefix.length < field.type.length * 8:
      try comparePrefix(field, comparison, prefix)
    case .ports(let ports) where ports.count > 1: try compareRange(field, comparison, ports)
    case .ports(let ports): try compare(field, comparison, .port(ports.lowerBound))
    default:
      let value = try bytes(datum, field.type)
      expressions += [field.load(into: .first), .compare(comparison.operation, value)]
      if comparison == .equal { note(field, value) }
    }
  }

  /// Compares the leading bits: whole bytes are loaded alone, else a mask is laid over.
  private mutating func comparePrefix(
    _ field: Field, _ comparison: Expression.Comparison, _ prefix: IPPrefix
  ) throws {
    let value = try bytes(.prefix(prefix), field.type)
    let whole = prefix.length / 8
    if prefix.length % 8 == 0 {
      expressions += [
        field.load(into: .first, length: whole), .compare(comparison.operation, Array(value.prefix(whole))),
      ]
      return
    }
    let mask = (0..<value.count).map {
      UInt8(truncatingIfNeeded: 0xff00 >> min(max(prefix.length - $0 * 8, 0), 8))
    }
    expressions += [field.load(into: .first), .mask(mask), .compare(comparison.operation, value)]
  }

  private mutating func compareRange(
    _ field: Field, _ comparison: Expression.Comparison, _ ports: ClosedRange<UInt16>
  ) throws {
    guard comparison == .equal else { throw NetfilterError("compare a range", .invalidValue) }
    expressions += [
      field.load(into: .first), .compare(NFT_CMP_GTE, try bytes(.port(ports.lowerBound), field.type)),
      .compare(NFT_CMP_LTE, try bytes(.port(ports.upperBound), field.type)),
    ]
  }

  private mutating func oneOf(_ field: Field, _ data: [Datum]) throws {
    require(field)
    let id = nextSetID()
    anonymousSets.append((id, field.type, try data.map { try bytes($0, field.type) }))
    expressions += [field.load(into: .first), .lookup(set: "__set%d", id: id)]
  }

  /// Loads the fields one behind the other, each padded to 4 bytes.
  private mutating func load(_ fields: [Field]) {
    fields.forEach { require($0) }
    var offset = 0
    for field in fields {
      expressions.append(field.load(into: .at(offset)))
      offset += (field.type.length + 3) & ~3
    }
  }

  private mutating func lookup(_ fields: [Field], _ comparison: Expression.Comparison, _ set: String) {
    load(fields)
    expressions.append(.lookup(set: set, inverted: comparison == .notEqual))
  }

  private mutating func mapConnectionMark(_ fields: [Field], _ map: String) {
    load(fields)
    expressions += [.lookup(set: map, isMap: true), .setConnectionMark]
  }

  private mutating func maskedConnection(_ key: nft_ct_keys, _ bits: UInt32) {
    expressions += [.ct(key), .mask(hostOrder(bits)), .compare(NFT_CMP_NEQ, hostOrder(0))]
  }

  /// - Source: RFC 9293 §3.1, the control bits: FIN 1, SYN 2, RST 4, ACK 16.
  private mutating func notSYN() {
    require(.tcpDestinationPort)
    expressions += [
      .payload(NFT_PAYLOAD_TRANSPORT_HEADER, offset: 13, length: 1, into: .first), .mask([0x17]),
      .compare(NFT_CMP_NEQ, [0x02]),
    ]
  }

  private mutating func socketCgroup(_ group: ControlGroup) {
    expressions += [
      KernelExpression(
        "socket", (NFTNL_EXPR_SOCKET_KEY, .word(word(NFT_SOCKET_CGROUPV2))),
        (NFTNL_EXPR_SOCKET_DREG, .word(Register.first.number)), (NFTNL_EXPR_SOCKET_LEVEL, .word(group.level))),
      .compare(NFT_CMP_EQ, withUnsafeBytes(of: group.id) { Array($0) }),
    ]
  }

  /// - Source: RFC 8200 §4.4, Routing header: next header 43.
  private mutating func hasRoutingHeader() {
    require(.ip6HopLimit)
    expressions += [
      KernelExpression(
        "exthdr", (NFTNL_EXPR_EXTHDR_DREG, .word(Register.first.number)), (NFTNL_EXPR_EXTHDR_TYPE, .byte(43)),
        (NFTNL_EXPR_EXTHDR_OFFSET, .word(0)), (NFTNL_EXPR_EXTHDR_LEN, .word(1)),
        (NFTNL_EXPR_EXTHDR_OP, .word(word(NFT_EXTHDR_OP_IPV6))),
        (NFTNL_EXPR_EXTHDR_FLAGS, .word(word(NFT_EXTHDR_F_PRESENT)))),
      .compare(NFT_CMP_EQ, [1]),
    ]
  }

  private func bytes(_ datum: Datum, _ type: DataType) throws -> [UInt8] {
    guard let bytes = type.encode(datum) else { throw NetfilterError("write \(datum)", .invalidValue) }
    return bytes
  }
}

/// The bytes of a number that the kernel compares as the host stores it.
func hostOrder(_ number: UInt32) -> [UInt8] { withUnsafeBytes(of: number) { Array($0) } }

/// The bytes of a number in network order.
func networkOrder(_ number: UInt16) -> [UInt8] { [UInt8(number >> 8), UInt8(truncatingIfNeeded: number)] }

extension Expression.Comparison {
  fileprivate var operation: nft_cmp_ops { self == .equal ? NFT_CMP_EQ : NFT_CMP_NEQ }
}
