/// Why a SOCKS message is refused.
///
/// - Source: RFC 1928, RFC 1929.
public enum SOCKSError: String, Error, Hashable, Sendable, CaseIterable {
  /// Not version 5 (SOCKS4 included), or not version 1 of the password exchange.
  case version
  /// No authentication method is offered.
  case noMethods = "no-methods"
  /// The password is empty.
  case credentials
  /// BIND, UDP ASSOCIATE or an unknown command.
  case command
  /// Neither IPv4, IPv6 nor a name.
  case addressType = "address-type"
  /// The host is neither a name nor an address.
  case authority
  /// Port 0, or a reserved byte that is not zero.
  case malformed

  /// The word for the log; never a byte of the request.
  public var token: String { rawValue }

  /// What to answer a refused request with.
  public var reply: SOCKSReply {
    switch self {
    case .command: .commandNotSupported
    case .addressType: .addressTypeNotSupported
    default: .generalFailure
    }
  }
}

/// The outcomes of a request (RFC 1928 §6); raw values as on the wire.
public enum SOCKSReply: UInt8, Hashable, Sendable, CaseIterable {
  case succeeded = 0, generalFailure, notAllowed, networkUnreachable, hostUnreachable, connectionRefused
  case timeToLiveExpired, commandNotSupported, addressTypeNotSupported

  /// The message; the bound address is 0.0.0.0:0, since where the gate dials
  /// from is none of the client's business and no client of CONNECT uses it.
  public var bytes: [UInt8] { [5, rawValue, 0, 1, 0, 0, 0, 0, 0, 0] }
}
