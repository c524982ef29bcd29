import Addressing

/// Where a listener waits.
public enum ListenAddress: Hashable, Sendable, CustomStringConvertible {
  /// TCP.
  case tcp(Endpoint)
  /// A Unix stream socket at an absolute path.
  case unix(path: String)

  /// The longest socket path in bytes (`sun_path` of unix(7) holds 108 with its NUL).
  public static let maximumPathLength = 107

  /// Reads `127.0.0.1:3128`, `[::1]:3128` or `unix:/path`.
  ///
  /// - Returns: nil for names, a missing port, and a path that is relative, too
  ///   long, or holds a control character.
  public init?(_ text: String) {
    guard text.utf8.starts(with: "unix:".utf8) else {
      guard let endpoint = Endpoint(text) else { return nil }
      self = .tcp(endpoint)
      return
    }
    let path = text.utf8.dropFirst(5)
    guard path.first == UInt8(ascii: "/"), (2...Self.maximumPathLength).contains(path.count),
      path.allSatisfy({ $0 >= 0x20 && $0 != 0x7f })
    else { return nil }
    self = .unix(path: String(Substring(path)))
  }

  public var description: String {
    switch self {
    case .tcp(let endpoint): endpoint.description
    case .unix(let path): "unix:\(path)"
    }
  }
}

/// One agent, and how its traffic is told from another's.
public struct Agent: Hashable, Sendable {
  /// The name in rules and records.
  public var name: AgentName
  /// Its own listener.
  public var listen: ListenAddress?
  /// Where it alone asks for names, over UDP and TCP.
  public var dns: Endpoint?
  /// SHA-256 of its token: 32 bytes.
  public var tokenSHA256: [UInt8]?

  /// Makes an agent.
  public init(
    name: AgentName, listen: ListenAddress? = nil, dns: Endpoint? = nil, tokenSHA256: [UInt8]? = nil
  ) {
    self.name = name
    self.listen = listen
    self.dns = dns
    self.tokenSHA256 = tokenSHA256
  }
}
