import Addressing
import Policy
import Testing
import Wire

@testable import Gateway

@Suite("What a SOCKS client and the gate say before the tunnel (RFC 1928, RFC 1929)")
struct SOCKSNegotiationTests {
  static let request: [UInt8] = [5, 1, 0, 3, 6] + Array("a.test".utf8) + [1, 187]
  static let password: [UInt8] = [1, 1, 117, 5] + Array("t0k3n".utf8)

  /// Every step until more is needed, in words; then the refusal if it came to one.
  static func converse(_ bytes: [UInt8], needsToken: Bool, pieces: Int = .max) -> [String] {
    var negotiation = SOCKSNegotiation(needsToken: needsToken), buffer: [UInt8] = [], words: [String] = []
    var rest = bytes[...]
    while !rest.isEmpty {
      buffer += rest.prefix(pieces)
      rest = rest.dropFirst(min(pieces, rest.count))
      do throws(SOCKSError) {
        loop: while true {
          switch try negotiation.advance(&buffer) {
          case .needsMore: break loop
          case .reply(let bytes): words.append("reply \(bytes)")
          case .request(let authority):
            let token = negotiation.token.map { String(decoding: $0, as: UTF8.self) } ?? "-"
            words.append("request \(authority) token \(token) behind \(buffer.count + rest.count)")
            return words
          }
        }
      } catch {
        return words + ["refused \(error.token) \(negotiation.refusal(error, .malformed))"]
      }
    }
    return words
  }

  struct Case: Sendable, CustomTestStringConvertible {
    var name: String, needsToken = false, bytes: [UInt8], words: [String]
    var testDescription: String { name }
  }
  static let failure = "[5, 1, 0, 1, 0, 0, 0, 0, 0, 0]"
  static let cases = [
    Case(
      name: "no token needed", bytes: [5, 1, 0] + request + [1, 2],
      words: ["reply [5, 0]", "request a.test:443 token - behind 2"]),
    Case(
      name: "none needed, both offered", bytes: [5, 2, 2, 0] + request,
      words: ["reply [5, 0]", "request a.test:443 token - behind 0"]),
    Case(
      name: "none needed, a password offered", bytes: [5, 1, 2] + password + request,
      words: ["reply [5, 2]", "reply [1, 0]", "request a.test:443 token t0k3n behind 0"]),
    Case(
      name: "a token needed and given", needsToken: true, bytes: [5, 2, 0, 2] + password + request,
      words: ["reply [5, 2]", "reply [1, 0]", "request a.test:443 token t0k3n behind 0"]),
    Case(
      name: "a token needed and not offered: one answer, not two", needsToken: true,
      bytes: [5, 1, 0] + request,
      words: ["refused no-methods [5, 255]"]),
    Case(name: "only GSSAPI offered", bytes: [5, 1, 1], words: ["refused no-methods [5, 255]"]),
    Case(name: "nothing offered", bytes: [5, 0], words: ["refused no-methods [5, 255]"]),
    Case(
      name: "a password of another version", needsToken: true, bytes: [5, 1, 2, 2, 1, 117, 1, 112],
      words: ["reply [5, 2]", "refused version [1, 1]"]),
    Case(
      name: "an empty password", needsToken: true, bytes: [5, 1, 2, 1, 1, 117, 0],
      words: ["reply [5, 2]", "refused credentials [1, 1]"]),
    Case(
      name: "BIND", bytes: [5, 1, 0, 5, 2, 0, 1, 1, 2, 3, 4, 0, 80],
      words: ["reply [5, 0]", "refused command [5, 7, 0, 1, 0, 0, 0, 0, 0, 0]"]),
    Case(
      name: "an unknown type of address", bytes: [5, 1, 0, 5, 1, 0, 9, 1, 2, 3, 4, 0, 80],
      words: ["reply [5, 0]", "refused address-type [5, 8, 0, 1, 0, 0, 0, 0, 0, 0]"]),
    Case(
      name: "POL-07: NUL in the name", bytes: [5, 1, 0, 5, 1, 0, 3, 3, 97, 0, 98, 0, 80],
      words: ["reply [5, 0]", "refused authority \(failure)"]),
    Case(
      name: "port 0", bytes: [5, 1, 0, 5, 1, 0, 1, 1, 2, 3, 4, 0, 0],
      words: ["reply [5, 0]", "refused malformed \(failure)"]),
    Case(
      name: "an address", bytes: [5, 1, 0, 5, 1, 0, 1, 11, 11, 0, 10, 0, 80],
      words: ["reply [5, 0]", "request 11.11.0.10:80 token - behind 0"]),
    Case(name: "half a greeting", bytes: [5, 2, 0], words: []),
    Case(name: "half a request", bytes: [5, 1, 0, 5, 1, 0, 3, 6, 97], words: ["reply [5, 0]"]),
  ]
  @Test("Each conversation, whole and a byte at a time", arguments: cases)
  func conversation(_ c: Case) {
    #expect(Self.converse(c.bytes, needsToken: c.needsToken) == c.words)
    #expect(Self.converse(c.bytes, needsToken: c.needsToken, pieces: 1) == c.words)
  }

  @Test("Each reason has a reply, and only what succeeded has that of success", arguments: Reason.allCases)
  func replies(_ reason: Reason) {
    let reply = SOCKSReply(reason)
    #expect(reply != .succeeded)
    let known: [Reason: SOCKSReply] = [
      .connectRefused: .connectionRefused, .connectTimeout: .timeToLiveExpired,
      .dnsTimeout: .timeToLiveExpired,
      .dnsFailure: .hostUnreachable, .connectFailed: .networkUnreachable, .noRule: .notAllowed,
      .denyRule: .notAllowed, .unknownAgent: .notAllowed, .auditUnavailable: .generalFailure,
      .overload: .generalFailure, .internalError: .generalFailure,
    ]
    if let expected = known[reason] { #expect(reply == expected) }
  }
}
