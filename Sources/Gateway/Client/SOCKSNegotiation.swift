import Addressing
import Policy
import Wire

/// What a SOCKS client and the gate say before the tunnel: the greeting, the
/// password where a token is needed, the request.
///
/// - Source: RFC 1928 §3 and §4, RFC 1929.
struct SOCKSNegotiation {
  /// The first byte of a SOCKS5 connection, which no HTTP request begins with.
  static let version: UInt8 = 5

  enum Step {
    case needsMore
    case reply([UInt8])
    case request(Authority)
  }

  private enum Phase {
    case greeting
    case password
    case request
  }

  private let needsToken: Bool
  private var phase = Phase.greeting
  /// What the client gave as its password.
  private(set) var token: [UInt8]?

  init(needsToken: Bool) {
    self.needsToken = needsToken
  }

  /// Takes the next message from the front of `buffer`.
  mutating func advance(_ buffer: inout [UInt8]) throws(SOCKSError) -> Step {
    switch phase {
    case .greeting: try greet(&buffer)
    case .password: try logIn(&buffer)
    case .request: try readRequest(&buffer)
    }
  }

  private mutating func greet(_ buffer: inout [UInt8]) throws(SOCKSError) -> Step {
    guard let (greeting, length) = try SOCKSGreeting.parse(buffer[...]) else { return .needsMore }
    buffer.removeFirst(length)
    switch (needsToken, greeting.offersNone, greeting.offersPassword) {
    case (true, _, true):
      phase = .password
      return .reply(SOCKSMethod.password.selection)
    case (false, true, _):
      phase = .request
      return .reply(SOCKSMethod.none.selection)
    case (false, false, true):
      phase = .password
      return .reply(SOCKSMethod.password.selection)
    default: throw .noMethods
    }
  }

  /// Takes the password. Whether it is right is seen when the request is
  /// there, so that the refusal can be recorded with what was asked for.
  private mutating func logIn(_ buffer: inout [UInt8]) throws(SOCKSError) -> Step {
    guard let (credentials, length) = try SOCKSCredentials.parse(buffer[...]) else { return .needsMore }
    buffer.removeFirst(length)
    token = credentials.password
    phase = .request
    return .reply(SOCKSCredentials.answer(accepted: true))
  }

  private mutating func readRequest(_ buffer: inout [UInt8]) throws(SOCKSError) -> Step {
    guard let (request, length) = try SOCKSRequest.parse(buffer[...]) else { return .needsMore }
    buffer.removeFirst(length)
    return .request(request.authority)
  }

  /// What refuses the client, in the words of the phase it is in.
  func refusal(_ error: SOCKSError?, _ reason: Reason) -> [UInt8] {
    switch phase {
    case .greeting: SOCKSMethod.noneAcceptable.selection
    case .password: SOCKSCredentials.answer(accepted: false)
    case .request: (error?.reply ?? SOCKSReply(reason)).bytes
    }
  }
}

extension SOCKSReply {
  /// The reply that says `reason` best (RFC 1928 §6).
  init(_ reason: Reason) {
    self =
      switch reason {
      case .connectRefused: .connectionRefused
      case .connectTimeout, .dnsTimeout: .timeToLiveExpired
      case .dnsFailure: .hostUnreachable
      case .connectFailed: .networkUnreachable
      case .internalError, .auditUnavailable, .overload, .malformed, .headTimeout: .generalFailure
      default: .notAllowed
      }
  }
}
