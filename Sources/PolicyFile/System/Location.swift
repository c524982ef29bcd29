import Addressing

/// Host, port and protocol of a URL, the rest left aside.
struct Location: Hashable {
  var authority: Authority
  var traffic: TrafficProtocol

  /// Reads `https://`, `http://`, `ssh://` and `git://` URLs; user and
  /// password are passed over.
  ///
  /// - Source: RFC 3986 §3, RFC 9110 §4.2, RFC 4251 (port 22), git-fetch(1) (port 9418).
  init?(url text: String) {
    guard let slashes = text.firstRange(of: "://") else { return nil }
    let scheme = asciiLowercased(text[..<slashes.lowerBound].utf8)
    guard let (traffic, port) = Self.schemes[scheme] else { return nil }
    let rest = text.utf8[slashes.upperBound...]
    var host = rest.prefix { $0 != UInt8(ascii: "/") && $0 != UInt8(ascii: "?") && $0 != UInt8(ascii: "#") }
    if let at = host.lastIndex(of: UInt8(ascii: "@")) { host = host[host.index(after: at)...] }
    if host.last == UInt8(ascii: ":") { host = host.dropLast() }
    guard let authority = try? Authority(host, defaultPort: port) else { return nil }
    self.authority = authority
    self.traffic = traffic
  }

  /// Reads git's short ssh form, `user@host:path`.
  init?(scp text: String) {
    guard text.firstRange(of: "://") == nil, let colon = text.utf8.firstIndex(of: UInt8(ascii: ":")) else {
      return nil
    }
    var host = text.utf8[..<colon]
    if host.contains(UInt8(ascii: "/")) { return nil }
    if let at = host.lastIndex(of: UInt8(ascii: "@")) { host = host[host.index(after: at)...] }
    guard let host = try? Host(host), let port = Port(22) else { return nil }
    authority = Authority(host, port)
    traffic = .tcp
  }

  private static let schemes: [String: (TrafficProtocol, Port)] = {
    var schemes: [String: (TrafficProtocol, Port)] = ["https": (.https, .https), "http": (.http, .http)]
    if let ssh = Port(22), let git = Port(9418) {
      (schemes["ssh"], schemes["git+ssh"], schemes["git"]) = ((.tcp, ssh), (.tcp, ssh), (.tcp, git))
    }
    return schemes
  }()
}

/// ASCII letters folded, everything else as it was.
func asciiLowercased(_ bytes: some Sequence<UInt8>) -> String {
  String(
    decoding: bytes.map { (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains($0) ? $0 | 0x20 : $0 },
    as: UTF8.self)
}
