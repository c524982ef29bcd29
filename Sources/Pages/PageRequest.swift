import Addressing
import Wire

/// A request for a page of the program's own, checked whole.
public struct PageRequest: Hashable, Sendable {
  /// A token of at most 32 bytes without lower-case letters.
  public let method: String
  /// The path, which starts with `/`, without the query; percent signs stand as they were sent.
  public let path: String
  /// What stands behind the `?`; nil where there is none.
  public let query: String?
  /// The host that was asked for, its port checked against the listener's.
  public let host: Host
  /// The fields as they came in.
  public let fields: FieldList
  /// Whether the connection may carry another request behind this one.
  public let keepAlive: Bool

  /// Reads one request from the beginning of `bytes`.
  ///
  /// - Parameters:
  ///   - bytes: All that came in and was not yet used.
  ///   - endpoint: What the client connected to.
  ///   - seen: The length of `bytes` when it was last looked at in vain.
  /// - Returns: The request and its length in bytes; nil when more bytes are needed, which are at most 16 KiB.
  /// - Throws: `RequestError`, also for a body, since no page takes one, and a `Host` with another port.
  /// - Source: RFC 9112 §3.2.1, RFC 9110 §7.2.
  static func parse(
    _ bytes: ArraySlice<UInt8>, at endpoint: Endpoint, resumingAt seen: Int
  ) throws(RequestError) -> (request: PageRequest, length: Int)? {
    let place = CapturedPlace(endpoint, .byClient)
    guard let (head, length) = try RequestHead.parse(bytes, at: place, resumingAt: seen) else { return nil }
    return (try PageRequest(head), length)
  }

  private init(_ head: RequestHead) throws(RequestError) {
    guard case .absolute(let authority, let target) = head.target, target.utf8.first == UInt8(ascii: "/")
    else {
      throw .target
    }
    switch head.framing {
    case .none, .length(0): break
    default: throw .framing
    }
    let parts = target.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
    (method, host, fields, keepAlive) = (head.method, authority.host, head.fields, head.keepAlive)
    path = String(parts[0])
    query = parts.count > 1 ? String(parts[1]) : nil
  }
}
