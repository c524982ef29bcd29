import Addressing
import Policy

/// What a person asks about on the command line: `HOST:PORT`, or a destination
/// as the log writes it, `https://HOST:PORT/path`.
struct Target: Hashable, Sendable {
  /// Where to.
  var authority: Authority
  /// What is spoken, if it was said.
  var traffic: TrafficProtocol?
  /// The path without its query, if one was given.
  var path: String?

  /// Why a text names no destination.
  enum Problem: Error, Hashable {
    /// The question is incomplete: nobody would send this.
    case incomplete(String)
    /// A client that sends this gets 400.
    case malformed(String)
  }

  /// - Parameter isQuestion: Whether it is what a question to the DNS listener is
  ///   about, which has no port.
  init(_ text: String, isQuestion: Bool = false) throws(Problem) {
    var rest = Substring(text)
    let scheme = text.utf8.prefix { $0 != UInt8(ascii: ":") }
    let tail = text.utf8[scheme.endIndex...]
    if tail.starts(with: "://".utf8) {
      traffic = TrafficProtocol(rawValue: String(Substring(scheme)))
      guard traffic != nil else {
        throw .incomplete("the scheme is not https, http, tcp, udp or dns. Leave it out")
      }
      rest = Substring(tail.dropFirst(3))
      if let slash = rest.utf8.firstIndex(of: UInt8(ascii: "/")) {
        path = String(rest[slash...].prefix { $0 != "?" && $0 != "#" })
        rest = rest[..<slash]
      }
    }
    if isQuestion { traffic = traffic ?? .dns }
    do { authority = try Authority(rest.utf8, defaultPort: traffic?.customaryPort) } catch {
      throw Problem(error)
    }
  }
}

extension TrafficProtocol {
  /// The port a URL leaves out.
  fileprivate var customaryPort: Port? {
    switch self {
    case .https: .https
    case .http: .http
    case .dns: .domain
    case .tcp, .udp: nil
    }
  }
}

extension Target.Problem {
  init(_ error: AuthorityError) {
    self =
      switch error {
      case .missingPort: .incomplete("the port is missing. Write HOST:PORT")
      case .badPort: .malformed("the port is not a number from 1 to 65535")
      case .badLiteral: .malformed("what stands in the brackets is no IPv6 address")
      case .badName(let problem): .malformed(Self.sentence(for: problem))
      }
  }

  private static func sentence(for problem: HostnameError) -> String {
    switch problem {
    case .emptyLabel: "the host has an empty label, or is empty"
    case .tooLong(let length): "the host has \(length) bytes; a name has at most 253"
    case .labelTooLong(let length): "a label has \(length) bytes; it has at most 63"
    case .forbiddenByte(let byte):
      byte < 0x80
        ? "the host holds \(printable("'\(Unicode.Scalar(byte))'")), which no host name does; IPv6 goes into brackets"
        : "the host is not ASCII; clients send its A-labels (xn--…)"
    case .hyphenAtEdge: "a label begins or ends with a hyphen"
    case .numericLastLabel: "the host is an odd spelling of an IPv4 address; only a.b.c.d in decimal is taken"
    case .invalidPunycode: "a label begins with xn-- but does not decode"
    }
  }
}
