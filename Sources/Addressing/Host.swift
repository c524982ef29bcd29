/// Where a connection goes: a name, or an address that the client wrote itself.
public enum Host: Hashable, Sendable, CustomStringConvertible {
  /// A host name.
  case name(Hostname)
  /// An address literal.
  case address(IPAddress)

  /// Reads a host: `[IPv6]`, a dotted quad, or a name. A bare IPv6 address, a
  /// zone, and every odd spelling of an IPv4 address are refused.
  ///
  /// - Throws: `AuthorityError`.
  /// - Source: RFC 3986 §3.2.2, without IPvFuture, percent-encoding and userinfo.
  public init(_ bytes: ArraySlice<UInt8>) throws(AuthorityError) {
    if bytes.first == UInt8(ascii: "[") {
      guard bytes.last == UInt8(ascii: "]"), let address = parseIPv6(bytes.dropFirst().dropLast()) else {
        throw .badLiteral
      }
      self = .address(address)
    } else if let address = parseIPv4(bytes) {
      self = .address(address)
    } else {
      do { self = .name(try Hostname(bytes)) } catch { throw .badName(error) }
    }
  }

  /// Reads a host, as above.
  public init(_ bytes: some Collection<UInt8>) throws(AuthorityError) {
    try self.init(Array(bytes)[...])
  }

  /// IPv6 literals stand in brackets.
  public var description: String {
    switch self {
    case .name(let name): name.text
    case .address(let address): address.isV4 ? "\(address)" : "[\(address)]"
    }
  }
}

/// A host and a port, as CONNECT, SOCKS and absolute URIs name them.
public struct Authority: Hashable, Sendable, CustomStringConvertible {
  /// The host.
  public var host: Host
  /// The port.
  public var port: Port

  /// Makes an authority.
  public init(_ host: Host, _ port: Port) {
    self.host = host
    self.port = port
  }

  /// Reads `host:port`; without a port, `defaultPort` counts if given.
  ///
  /// - Throws: `AuthorityError`.
  public init(_ bytes: ArraySlice<UInt8>, defaultPort: Port? = nil) throws(AuthorityError) {
    let colon = bytes.lastIndex(of: UInt8(ascii: ":"))
    let bracket = bytes.lastIndex(of: UInt8(ascii: "]"))
    if let colon, bracket.map({ $0 < colon }) ?? true {
      guard let port = Port(bytes[(colon + 1)...]) else { throw .badPort }
      self.init(try Host(bytes[..<colon]), port)
      return
    }
    guard let defaultPort else { throw .missingPort }
    self.init(try Host(bytes), defaultPort)
  }

  /// Reads an authority, as above.
  public init(_ bytes: some Collection<UInt8>, defaultPort: Port? = nil) throws(AuthorityError) {
    try self.init(Array(bytes)[...], defaultPort: defaultPort)
  }

  public var description: String { "\(host):\(port)" }
}

/// Why bytes are not an authority.
public enum AuthorityError: Error, Hashable, Sendable {
  /// No port, and none is implied.
  case missingPort
  /// The port is not `[1-9][0-9]{0,4}`, or above 65535.
  case badPort
  /// Brackets around something that is not an IPv6 address.
  case badLiteral
  /// The host is neither an address nor a name.
  case badName(HostnameError)
}
