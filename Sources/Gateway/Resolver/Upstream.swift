import Addressing

/// A resolver that is asked: where it is, and how it is spoken to.
public struct Upstream: Hashable, Sendable, CustomStringConvertible {
  /// How it is spoken to.
  public enum Transport: Hashable, Sendable {
    /// UDP, and TCP where an answer is too large for it (RFC 1035 §4.2).
    case plain
    /// TLS alone, to the server whose certificate is good for this name (RFC 7858,
    /// RFC 8310 §5: the strict profile).
    case tls(Hostname)
  }

  /// Its address.
  public var endpoint: Endpoint
  /// How it is spoken to.
  public var transport: Transport

  /// Makes an upstream.
  public init(_ endpoint: Endpoint, _ transport: Transport = .plain) {
    self.endpoint = endpoint
    self.transport = transport
  }

  /// Reads `ADDRESS[:PORT]` or `tls://ADDRESS[:PORT]#NAME`; the port is 53, or 853 with TLS.
  ///
  /// - Throws: `UpstreamError`, with what to write instead.
  public init(_ text: String) throws(UpstreamError) {
    let mark = "tls://"
    guard text.utf8.starts(with: mark.utf8) else {
      guard let endpoint = Endpoint(text, defaultPort: .domain) else { throw .address(text) }
      self.init(endpoint)
      return
    }
    let parts = text.dropFirst(mark.count).split(
      separator: "#", maxSplits: 1, omittingEmptySubsequences: false)
    guard let endpoint = Endpoint(String(parts[0]), defaultPort: .domainOverTLS) else { throw .address(text) }
    guard parts.count == 2, !parts[1].isEmpty else { throw .noName(text) }
    guard let name = try? Hostname(String(parts[1])) else { throw .name(String(parts[1])) }
    self.init(endpoint, .tls(name))
  }

  /// As it is written on the command line.
  public var description: String {
    switch transport {
    case .plain: "\(endpoint)"
    case .tls(let name): "tls://\(endpoint)#\(name)"
    }
  }
}

/// A zone whose names are asked of an upstream of its own.
public struct UpstreamForward: Hashable, Sendable {
  /// The zone: its own name and all below it.
  public var zone: Hostname
  /// Who is asked.
  public var upstream: Upstream

  /// Makes a forward.
  public init(zone: Hostname, upstream: Upstream) {
    self.zone = zone
    self.upstream = upstream
  }

  /// Reads `ZONE=UPSTREAM`; the zone may end with a dot.
  ///
  /// - Throws: `UpstreamError`, with what to write instead.
  public init(_ text: String) throws(UpstreamError) {
    let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
    guard parts.count == 2, !parts[0].isEmpty else { throw .noZone(text) }
    guard parts[0] != "." else { throw .rootZone }
    guard let zone = try? Hostname(String(parts[0])) else { throw .zone(String(parts[0])) }
    self.init(zone: zone, upstream: try Upstream(String(parts[1])))
  }
}

/// Why a text names no upstream.
public enum UpstreamError: Error, Hashable, Sendable, CustomStringConvertible {
  /// It is not an address literal and perhaps a port.
  case address(String)
  /// A TLS upstream without the name its certificate is checked for.
  case noName(String)
  /// That name is no host name.
  case name(String)
  /// There is no `ZONE=`.
  case noZone(String)
  /// The zone is no name in ASCII.
  case zone(String)
  /// The zone is `.`, which is every name.
  case rootZone

  public var description: String {
    switch self {
    case .address:
      """
      It is no address of a resolver. Write 10.0.0.2, 10.0.0.2:53 or [2001:db8::1]:53, or \
      tls://10.0.0.2#dns.example.com for DNS over TLS.
      """
    case .noName:
      """
      DNS over TLS needs the name that the server's certificate is checked for. \
      Write tls://10.0.0.2#dns.example.com.
      """
    case .name: "What follows # is no host name. Write tls://10.0.0.2#dns.example.com."
    case .noZone: "It names no zone. Write corp.example=10.0.0.2."
    case .zone:
      "The zone is no name in ASCII. Write corp.example=10.0.0.2, a zone of Unicode by its A-labels (xn--…)."
    case .rootZone: "'.' is every name. Name the resolver for all other names with --dns-upstream."
    }
  }
}
