import Addressing

/// The ways to log in that the gate knows (RFC 1928 §3); raw values as on the wire.
public enum SOCKSMethod: UInt8, Hashable, Sendable {
  case none = 0
  case password = 2
  /// None of those offered will do; the client must close.
  case noneAcceptable = 0xff

  /// The answer to a greeting.
  public var selection: [UInt8] { [5, rawValue] }
}

/// A client's first message: the methods it offers.
public struct SOCKSGreeting: Hashable, Sendable {
  /// Whether it can go without logging in.
  public let offersNone: Bool
  /// Whether it can send a user name and a password.
  public let offersPassword: Bool

  /// Reads a greeting from the beginning of `bytes`.
  ///
  /// - Returns: It and its length in bytes, at most 257; nil when more are needed.
  /// - Throws: `.version` or `.noMethods`.
  public static func parse(
    _ bytes: ArraySlice<UInt8>
  ) throws(SOCKSError) -> (greeting: SOCKSGreeting, length: Int)? {
    var reader = ByteReader(bytes)
    guard let version = reader.byte() else { return nil }
    guard version == 5 else { throw .version }
    guard let count = reader.byte() else { return nil }
    guard count > 0 else { throw .noMethods }
    guard let methods = reader.take(Int(count)) else { return nil }
    let greeting = SOCKSGreeting(
      offersNone: methods.contains(SOCKSMethod.none.rawValue),
      offersPassword: methods.contains(SOCKSMethod.password.rawValue))
    return (greeting, reader.consumed)
  }
}

/// A user name and a password (RFC 1929 §2); the password is the agent's token.
/// An empty user name is taken, although the RFC has it at least one byte long:
/// clients send it for `socks5://:token@gate`.
public struct SOCKSCredentials: Hashable, Sendable {
  /// At most 255 bytes of any kind, which mean nothing here; not for the log.
  public let user: [UInt8]
  /// 1 to 255 bytes of any kind; never for the log.
  public let password: [UInt8]

  /// Reads the message from the beginning of `bytes`.
  ///
  /// - Returns: It and its length in bytes, at most 513; nil when more are needed.
  /// - Throws: `.version` or `.credentials`.
  public static func parse(
    _ bytes: ArraySlice<UInt8>
  ) throws(SOCKSError) -> (credentials: SOCKSCredentials, length: Int)? {
    var reader = ByteReader(bytes)
    guard let version = reader.byte() else { return nil }
    guard version == 1 else { throw .version }
    guard let user = reader.vector8(), let password = reader.vector8() else { return nil }
    guard !password.isEmpty else { throw .credentials }
    return (SOCKSCredentials(user: Array(user), password: Array(password)), reader.consumed)
  }

  /// The answer that lets the client in, or sends it away.
  public static func answer(accepted: Bool) -> [UInt8] { [1, accepted ? 0 : 1] }
}

/// A request to connect (RFC 1928 §4).
public struct SOCKSRequest: Hashable, Sendable {
  /// Where to; an address literal sent as a name is that address.
  public let authority: Authority

  /// Reads a request from the beginning of `bytes`.
  ///
  /// - Returns: It and its length in bytes, at most 262; nil when more are needed.
  /// - Throws: `.version`, `.command`, `.addressType`, `.authority`, or `.malformed`.
  public static func parse(
    _ bytes: ArraySlice<UInt8>
  ) throws(SOCKSError) -> (request: SOCKSRequest, length: Int)? {
    var reader = ByteReader(bytes)
    guard let version = reader.byte() else { return nil }
    guard version == 5 else { throw .version }
    guard let command = reader.byte() else { return nil }
    guard command == 1 else { throw .command }
    guard let reserved = reader.byte() else { return nil }
    guard reserved == 0 else { throw .malformed }
    guard let kind = reader.byte(), let host = try readHost(kind, &reader), let number = reader.uint16()
    else {
      return nil
    }
    guard let port = Port(number) else { throw .malformed }
    return (SOCKSRequest(authority: Authority(host, port)), reader.consumed)
  }
}

private func readHost(_ kind: UInt8, _ reader: inout ByteReader) throws(SOCKSError) -> Host? {
  switch kind {
  case 1: return reader.take(4).flatMap(IPAddress.init(networkOrder:)).map(Host.address)
  case 4: return reader.take(16).flatMap(IPAddress.init(networkOrder:)).map(Host.address)
  case 3:
    guard let count = reader.byte() else { return nil }
    guard count > 0 else { throw .authority }
    guard let text = reader.take(Int(count)) else { return nil }
    if let literal = IPAddress(text) { return .address(literal) }
    do { return try Host(text) } catch { throw .authority }
  default: throw .addressType
  }
}
