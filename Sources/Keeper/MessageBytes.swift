import Addressing
import Firewall

/// Writes a message: numbers in network order, lists and texts behind their count.
struct MessageWriter {
  private(set) var bytes: [UInt8] = []

  init(number: UInt32) { put(number) }

  mutating func put<Number: FixedWidthInteger>(_ number: Number) {
    withUnsafeBytes(of: number.bigEndian) { bytes += $0 }
  }

  mutating func put(_ text: String) {
    let text = Array(text.utf8.prefix(4096))
    put(UInt32(text.count))
    bytes += text
  }

  mutating func put(_ address: IPAddress) {
    put(address.isV4 ? 4 : 6 as UInt8)
    bytes += address.bytes
  }

  mutating func put(_ prefix: IPPrefix) {
    put(prefix.address)
    put(UInt8(prefix.length))
  }

  mutating func put(_ ports: ClosedRange<UInt16>) {
    put(ports.lowerBound)
    put(ports.upperBound)
  }

  mutating func put(_ marks: Set<UInt32>) {
    put(UInt32(marks.count))
    for mark in marks.sorted() { put(mark) }
  }

  mutating func put(_ grant: UDPGrant) {
    put(grant.prefix)
    put(grant.ports)
    // No rule has the mark 0.
    if case .allow(let mark) = grant.verdict { put(mark) } else { put(0 as UInt32) }
    put(grant.allowsPrivate ? 1 : 0 as UInt8)
  }

  mutating func put(_ rules: FenceRules) {
    put(rules.synthetic4)
    put(rules.synthetic6)
    put(rules.marks)
    put(UInt32(rules.grants.count))
    for grants in rules.grants {
      put(UInt32(grants.count))
      grants.forEach { put($0) }
    }
    put(UInt32(rules.resolvers.count))
    for resolver in rules.resolvers {
      put(resolver.address)
      put(resolver.port.number)
    }
    put(rules.isAudit ? 1 : 0 as UInt8)
    put(rules.isStopped ? 1 : 0 as UInt8)
  }

  mutating func put(_ texts: [String]) {
    put(UInt32(texts.count))
    texts.forEach { put($0) }
  }

  mutating func put(_ counts: [Heldback: UInt64]) {
    put(UInt32(counts.count))
    for (kind, packets) in counts {
      put(kind.name)
      put(packets)
    }
  }

  mutating func put(_ opening: FenceOpening) {
    put(opening.address)
    put(opening.ports)
    put(opening.mark)
    put(opening.lifetime)
    put(opening.agent)
  }
}

/// Reads a message, or throws at the first byte that does not fit.
struct MessageReader {
  private var rest: ArraySlice<UInt8>

  init(_ bytes: [UInt8]) { rest = bytes[...] }

  private mutating func take(_ count: Int) throws(MalformedMessage) -> ArraySlice<UInt8> {
    guard rest.count >= count else { throw MalformedMessage() }
    defer { rest = rest.dropFirst(count) }
    return rest.prefix(count)
  }

  mutating func number<Number: FixedWidthInteger>() throws(MalformedMessage) -> Number {
    try take(Number.bitWidth / 8).reduce(0) { $0 << 8 | Number(truncatingIfNeeded: $1) }
  }

  mutating func text() throws(MalformedMessage) -> String {
    let count: UInt32 = try number()
    return String(decoding: try take(Int(count)), as: UTF8.self)
  }

  /// Reads what is behind its count. Each element takes bytes, so a count that
  /// is too large ends with the message.
  mutating func list<Element>(
    _ element: (inout MessageReader) throws(MalformedMessage) -> Element
  ) throws(MalformedMessage) -> [Element] {
    let count: UInt32 = try number()
    var elements: [Element] = []
    for _ in 0..<count { elements.append(try element(&self)) }
    return elements
  }

  mutating func address() throws(MalformedMessage) -> IPAddress {
    let length =
      switch try number() as UInt8 {
      case 4: 4
      case 6: 16
      default: throw MalformedMessage()
      }
    guard let address = IPAddress(networkOrder: Array(try take(length))) else { throw MalformedMessage() }
    return address
  }

  mutating func prefix() throws(MalformedMessage) -> IPPrefix {
    let address = try address(), length: UInt8 = try number()
    guard let prefix = IPPrefix(address, length: Int(length)) else { throw MalformedMessage() }
    return prefix
  }

  mutating func ports() throws(MalformedMessage) -> ClosedRange<UInt16> {
    let lower: UInt16 = try number(), upper: UInt16 = try number()
    guard lower <= upper else { throw MalformedMessage() }
    return lower...upper
  }

  mutating func marks() throws(MalformedMessage) -> Set<UInt32> {
    Set(try list { reader throws(MalformedMessage) -> UInt32 in try reader.mark() })
  }

  mutating func grant() throws(MalformedMessage) -> UDPGrant {
    let prefix = try prefix(), ports = try ports()
    let mark: UInt32 = try number(), allowsPrivate: UInt8 = try number()
    guard mark != Grants.ownMark, mark < Grants.inboundMark, allowsPrivate <= 1 else {
      throw MalformedMessage()
    }
    return UDPGrant(
      prefix, ports: ports, mark == 0 ? .deny : .allow(mark: mark), allowsPrivate: allowsPrivate == 1)
  }

  mutating func rules() throws(MalformedMessage) -> FenceRules {
    let four = try prefix(), six = try prefix()
    guard four.address.isV4, !six.address.isV4 else { throw MalformedMessage() }
    let marks = try marks()
    let grants = try list { reader throws(MalformedMessage) in
      try reader.list { reader throws(MalformedMessage) in try reader.grant() }
    }
    let resolvers = try list { reader throws(MalformedMessage) in try reader.endpoint() }
    let audit: UInt8 = try number(), stopped: UInt8 = try number()
    guard audit <= 1, stopped <= 1 else { throw MalformedMessage() }
    return FenceRules(
      marks: marks, grants: grants, synthetic4: four, synthetic6: six, resolvers: resolvers,
      isAudit: audit == 1, isStopped: stopped == 1)
  }

  private mutating func endpoint() throws(MalformedMessage) -> Endpoint {
    let address = try address()
    guard let port = Port(try number() as UInt16) else { throw MalformedMessage() }
    return Endpoint(address, port)
  }

  /// A rule's mark: not the gate's own, nor what others began, nor that of audit mode, which no message may
  /// grant or revoke.
  private mutating func mark() throws(MalformedMessage) -> UInt32 {
    let mark: UInt32 = try number()
    guard mark > Grants.ownMark, mark < Grants.inboundMark else { throw MalformedMessage() }
    return mark
  }

  mutating func opening() throws(MalformedMessage) -> FenceOpening {
    let opening = FenceOpening(
      try address(), ports: try ports(), mark: try mark(), lifetime: try number(),
      agent: try number())
    guard opening.ports.count <= FenceOpening.portLimit else {
      throw MalformedMessage()
    }
    return opening
  }

  mutating func counts() throws(MalformedMessage) -> [Heldback: UInt64] {
    let pairs = try list { reader throws(MalformedMessage) -> (Heldback, UInt64) in
      guard let kind = Heldback(named: try reader.text()) else { throw MalformedMessage() }
      return (kind, try reader.number())
    }
    return Dictionary(pairs, uniquingKeysWith: { first, _ in first })
  }

  mutating func canary() throws(MalformedMessage) -> CanaryState {
    guard let state = CanaryState(rawValue: try number()) else { throw MalformedMessage() }
    return state
  }

  mutating func loss() throws(MalformedMessage) -> LinkLoss {
    guard let loss = LinkLoss(rawValue: try number()) else { throw MalformedMessage() }
    return loss
  }

  func end() throws(MalformedMessage) {
    guard rest.isEmpty else { throw MalformedMessage() }
  }
}
