import Addressing
import Shipping

/// Where questions are posted to.
public struct WebhookTarget: Hashable, Sendable {
  /// The place.
  public let place: JSONPoster.Place
  /// The path and query of the request.
  public let path: String

  /// Whether the connection is protected.
  public var isSecure: Bool {
    guard case .host(let target) = place else { return false }
    return target.isSecure
  }

  /// In bytes.
  private static let longest = 2048

  /// Reads `https://HOST[:PORT]/PATH`, `http://HOST[:PORT]/PATH` or `unix:/SOCKET`.
  ///
  /// - Throws: `WebhookTargetError`.
  public init(_ text: String) throws(WebhookTargetError) {
    guard text.utf8.count <= Self.longest, text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7f }) else {
      throw .badText
    }
    if text.utf8.starts(with: "unix:/".utf8) {
      (place, path) = (.unix(String(text.dropFirst(5))), "/")
      return
    }
    guard let mark = text.firstRange(of: "://") else { throw .unknownForm }
    let scheme = text[..<mark.lowerBound], rest = text[mark.upperBound...]
    let end = rest.utf8.firstIndex(where: { "/?#".utf8.contains($0) }) ?? rest.endIndex
    guard let usual: Port = scheme == "https" ? .https : scheme == "http" ? .http : nil else {
      throw .unknownForm
    }
    guard let authority = try? Authority(Array(rest[..<end].utf8)[...], defaultPort: usual),
      let target = try? ShippingTarget("\(scheme)://\(authority.host):\(authority.port)")
    else { throw .badPlace }
    guard !rest.utf8.contains(UInt8(ascii: "#")) else { throw .badText }
    place = .host(target)
    path = rest[end...].utf8.first == UInt8(ascii: "/") ? String(rest[end...]) : "/" + rest[end...]
  }
}

/// Why a text names no target.
public enum WebhookTargetError: Error, Hashable, Sendable, CustomStringConvertible {
  /// Bytes that no address holds, too many of them, or a fragment.
  case badText
  /// No scheme, or one that is not spoken.
  case unknownForm
  /// No host with a port.
  case badPlace

  public var description: String {
    switch self {
    case .badText: "It is no address: printable ASCII without spaces and '#', at most 2048 bytes."
    case .unknownForm:
      "It is no webhook. Write https://HOST/PATH, http://127.0.0.1:PORT/PATH or unix:/SOCKET."
    case .badPlace: "It names no host. Write https://hooks.example.com/exitgate; a user has no place in it."
    }
  }
}
