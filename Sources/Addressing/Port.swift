/// A transport port, 1 to 65535.
public struct Port: Hashable, Sendable, Comparable, CustomStringConvertible {
  /// The number in host order.
  public let number: UInt16

  /// Takes a number; nil for 0.
  public init?(_ number: UInt16) {
    guard number != 0 else { return nil }
    self.number = number
  }

  /// Reads decimal digits: no sign, no leading zero, 1 to 65535.
  public init?(_ bytes: ArraySlice<UInt8>) {
    guard let first = bytes.first, first != UInt8(ascii: "0"),
      let value = decimal(bytes, below: 65536)
    else { return nil }
    number = UInt16(value)
  }

  /// Reads decimal digits, as above.
  public init?(_ bytes: some Collection<UInt8>) {
    self.init(Array(bytes)[...])
  }

  private init(wellKnown number: UInt16) {
    self.number = number
  }

  /// Port 80 (RFC 9110 §4.2.1).
  public static let http = Port(wellKnown: 80)
  /// Port 443 (RFC 9110 §4.2.2).
  public static let https = Port(wellKnown: 443)
  /// Port 53 (RFC 1035 §4.2).
  public static let domain = Port(wellKnown: 53)
  /// Port 853 (RFC 7858 §3.1).
  public static let domainOverTLS = Port(wellKnown: 853)

  public static func < (left: Port, right: Port) -> Bool { left.number < right.number }
  public var description: String { String(number) }
}

/// Reads decimal digits below `limit`, without sign, at most five of them.
func decimal(_ bytes: some Collection<UInt8>, below limit: Int) -> Int? {
  guard !bytes.isEmpty, bytes.count <= 5, bytes.allSatisfy(isDigit) else { return nil }
  let value = bytes.reduce(0) { $0 * 10 + Int($1 - UInt8(ascii: "0")) }
  return value < limit ? value : nil
}
