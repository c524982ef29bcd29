import Addressing

/// Where a log is shipped to, and how.
public struct ShippingTarget: Hashable, Sendable, CustomStringConvertible {
  /// What is spoken.
  public enum Form: String, Hashable, Sendable {
    /// RFC 5424 messages over TLS, octet counting (RFC 5425).
    case syslog = "syslog+tls"
    /// OTLP/HTTP over TLS.
    case otlp = "https"
    /// OTLP/HTTP in the clear.
    case plainOTLP = "http"
  }

  /// What is spoken.
  public var form: Form
  /// Whom to connect to; a certificate must be good for it.
  public var host: Host
  /// The port.
  public var port: Port

  /// Whether the connection is protected.
  public var isSecure: Bool { form != .plainOTLP }
  /// Whether it takes metrics.
  public var takesMetrics: Bool { form != .syslog }

  /// Reads `syslog+tls://HOST[:PORT]`, `https://HOST[:PORT]` or `http://HOST[:PORT]`; the ports are 6514 (RFC 5425) and
  /// 4318 (OTLP) unless given.
  ///
  /// - Throws: `ShippingTargetError`.
  public init(_ text: String) throws(ShippingTargetError) {
    let parts = text.split(separator: "://", maxSplits: 1, omittingEmptySubsequences: false)
    guard parts.count == 2, let form = Form(rawValue: String(parts[0])) else { throw .unknownForm }
    let rest = parts[1].utf8.last == UInt8(ascii: "/") ? parts[1].dropLast() : parts[1]
    guard !rest.utf8.contains(where: { "/?#@".utf8.contains($0) }) else { throw .morePath }
    guard let usual = Port(form == .syslog ? 6514 : 4318),
      let authority = try? Authority(Array(rest.utf8)[...], defaultPort: usual)
    else { throw .badPlace }
    (self.form, host, port) = (form, authority.host, authority.port)
  }

  public var description: String { "\(form.rawValue)://\(host):\(port)" }

  /// The name of a file that belongs to this target alone.
  public var fileName: String {
    let place = "\(form.rawValue)-\(host)-\(port)".utf8.map { byte in
      ":[]+".utf8.contains(byte) ? UInt8(ascii: "_") : byte
    }
    return "ship-" + String(decoding: place, as: UTF8.self)
  }
}

/// Why a text names no target.
public enum ShippingTargetError: Error, Hashable, Sendable, CustomStringConvertible {
  /// No scheme, or one that nothing here speaks.
  case unknownForm
  /// A path, a query or a user, which no target takes.
  case morePath
  /// No host with a port.
  case badPlace

  public var description: String {
    switch self {
    case .unknownForm:
      "It is no target. Write syslog+tls://HOST:PORT, https://HOST:PORT, or http://127.0.0.1:PORT."
    case .morePath: "It says more than host and port. OTLP goes to /v1/logs and /v1/metrics there."
    case .badPlace: "It names no host. Write syslog+tls://logs.example.com:6514."
    }
  }
}

extension ShippingTarget {
  /// Looks the host up once, for what the system's resolver loads when it is first asked: afterwards a process may give up
  /// loading code.
  public static func loadResolver(for target: ShippingTarget) {
    _ = try? ResolvedAddress.all(of: target.host, port: target.port)
  }
}
