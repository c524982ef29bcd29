import CNetfilter

/// One expression of a rule as the kernel's virtual machine runs it.
struct KernelExpression {
  var name: String
  var attributes: [(UInt16, Value)] = []

  enum Value {
    case byte(UInt8)
    case short(UInt16)
    case word(UInt32)
    case long(UInt64)
    case bytes([UInt8])
    case text(String)
  }

  init(_ name: String, _ attributes: (Int, Value)...) {
    self.name = name
    self.attributes = attributes.map { (attribute($0.0), $0.1) }
  }

  /// Adds the expression to a rule, which owns it from then on.
  func add(to rule: OpaquePointer) {
    guard let expression = nftnl_expr_alloc(name) else { return }
    for (number, value) in attributes {
      switch value {
      case .byte(let value): nftnl_expr_set_u8(expression, number, value)
      case .short(let value): nftnl_expr_set_u16(expression, number, value)
      case .word(let value): nftnl_expr_set_u32(expression, number, value)
      case .long(let value): nftnl_expr_set_u64(expression, number, value)
      case .bytes(let value): nftnl_expr_set(expression, number, value, UInt32(value.count))
      case .text(let value): nftnl_expr_set_str(expression, number, value)
      }
    }
    nftnl_rule_add_expr(rule, expression)
  }
}

/// A register of the kernel's virtual machine, by its number.
///
/// The sixteen 4-byte registers 8 to 23 are also the four 16-byte registers 1
/// to 4. A value that begins where one of the latter does is loaded by its
/// number, as nft(8) does.
///
/// - Source: `enum nft_registers` in linux/netfilter/nf_tables.h.
struct Register {
  var number: UInt32

  static let verdict = Register(number: 0)
  static let first = Register(number: 1)
  static let second = Register(number: 2)

  /// The register `offset` bytes behind the first one; a multiple of 4.
  static func at(_ offset: Int) -> Register {
    Register(number: UInt32(offset % 16 == 0 ? 1 + offset / 16 : 8 + offset / 4))
  }
}

extension KernelExpression {
  static func meta(_ key: nft_meta_keys, into register: Register) -> KernelExpression {
    KernelExpression(
      "meta", (NFTNL_EXPR_META_KEY, .word(key.rawValue)), (NFTNL_EXPR_META_DREG, .word(register.number)))
  }

  static func payload(
    _ base: nft_payload_bases, offset: Int, length: Int, into register: Register
  ) -> KernelExpression {
    KernelExpression(
      "payload", (NFTNL_EXPR_PAYLOAD_DREG, .word(register.number)),
      (NFTNL_EXPR_PAYLOAD_BASE, .word(base.rawValue)),
      (NFTNL_EXPR_PAYLOAD_OFFSET, .word(UInt32(offset))), (NFTNL_EXPR_PAYLOAD_LEN, .word(UInt32(length))))
  }

  static func ct(_ key: nft_ct_keys, into register: Register = .first) -> KernelExpression {
    KernelExpression(
      "ct", (NFTNL_EXPR_CT_KEY, .word(key.rawValue)), (NFTNL_EXPR_CT_DREG, .word(register.number)))
  }

  static func compare(_ operation: nft_cmp_ops, _ data: [UInt8]) -> KernelExpression {
    KernelExpression(
      "cmp", (NFTNL_EXPR_CMP_SREG, .word(Register.first.number)),
      (NFTNL_EXPR_CMP_OP, .word(operation.rawValue)), (NFTNL_EXPR_CMP_DATA, .bytes(data)))
  }

  static func mask(_ mask: [UInt8]) -> KernelExpression {
    KernelExpression(
      "bitwise", (NFTNL_EXPR_BITWISE_SREG, .word(Register.first.number)),
      (NFTNL_EXPR_BITWISE_DREG, .word(Register.first.number)),
      (NFTNL_EXPR_BITWISE_OP, .word(0)), (NFTNL_EXPR_BITWISE_LEN, .word(UInt32(mask.count))),
      (NFTNL_EXPR_BITWISE_MASK, .bytes(mask)),
      (NFTNL_EXPR_BITWISE_XOR, .bytes([UInt8](repeating: 0, count: mask.count))))
  }

  static func immediate(_ data: [UInt8], into register: Register = .first) -> KernelExpression {
    KernelExpression(
      "immediate", (NFTNL_EXPR_IMM_DREG, .word(register.number)), (NFTNL_EXPR_IMM_DATA, .bytes(data)))
  }

  /// - Source: `NF_ACCEPT`, `NF_DROP`; `enum nft_verdicts` in linux/netfilter/nf_tables.h.
  static func verdict(_ code: Int32, chain: String? = nil) -> KernelExpression {
    var expression = KernelExpression(
      "immediate", (NFTNL_EXPR_IMM_DREG, .word(Register.verdict.number)),
      (NFTNL_EXPR_IMM_VERDICT, .word(UInt32(bitPattern: code))))
    if let chain { expression.attributes.append((attribute(NFTNL_EXPR_IMM_CHAIN), .text(chain))) }
    return expression
  }
}
