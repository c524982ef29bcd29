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
  /// The body; empty where there is none.
  public let body: [UInt8]
  /// Whether it asks for another protocol on this connection.
  public let isUpgrade: Bool
  /// Whether the connection may carry another request behind this one.
  public let keepAlive: Bool

  /// The values of every field called `name`, in their order.
  public func values(of name: String) -> [[UInt8]] { fields.values(of: name) }

  /// Reads one request from the beginning of `bytes`.
  ///
  /// - Parameters:
  ///   - bytes: All that came in and was not yet used.
  ///   - endpoint: What the client connected to.
  ///   - terms: Which hosts it may name, and how long its body may be.
  ///   - seen: The length of `bytes` when it was last looked at in vain.
  /// - Returns: The request and its length in bytes; nil when more bytes are needed, which are at most 16 KiB and the
  ///   body.
  /// - Throws: `PageRefusal`.
  /// - Source: RFC 9112 §3.2.1, RFC 9110 §7.2.
  static func parse(
    _ bytes: ArraySlice<UInt8>, at endpoint: Endpoint, _ terms: PageTerms = PageTerms(),
    resumingAt seen: Int
  ) throws(PageRefusal) -> (request: PageRequest, length: Int)? {
    guard let (head, length) = try Self.head(bytes, at: endpoint, terms, seen) else { return nil }
    let size = try bodyLength(head, limit: terms.bodyLimit)
    guard bytes.count - length >= size else { return nil }
    let body = Array(bytes.dropFirst(length).prefix(size))
    return (try PageRequest(head, body, terms), length + size)
  }

  private static func head(
    _ bytes: ArraySlice<UInt8>, at endpoint: Endpoint, _ terms: PageTerms, _ seen: Int
  ) throws(PageRefusal) -> (head: RequestHead, length: Int)? {
    do throws(RequestError) {
      // A head that was found may still lack its body, so it is looked for from the beginning.
      let resume = terms.bodyLimit > 0 ? 0 : seen
      return try RequestHead.parse(bytes, at: CapturedPlace(endpoint, .byClient), resumingAt: resume)
    } catch {
      throw terms.hosts != nil && [.host, .hostMismatch].contains(error) ? .host : .request(error)
    }
  }

  private static func bodyLength(_ head: RequestHead, limit: Int) throws(PageRefusal) -> Int {
    switch head.framing {
    case .none, .length(0): return 0
    case .length(let length) where limit > 0:
      guard !head.expectsContinue else { throw .expectation }
      guard length <= limit else { throw .tooLarge }
      return Int(length)
    default: throw .request(.framing)
    }
  }

  private init(_ head: RequestHead, _ body: [UInt8], _ terms: PageTerms) throws(PageRefusal) {
    guard case .absolute(let authority, let target) = head.target, target.utf8.first == UInt8(ascii: "/")
    else {
      throw .request(.target)
    }
    if let hosts = terms.hosts {
      guard let field = head.hostField, hosts.contains(where: { $0.utf8.elementsEqual(field) }) else {
        throw .host
      }
    }
    let parts = target.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
    (method, host, fields, keepAlive) = (head.method, authority.host, head.fields, head.keepAlive)
    path = String(parts[0])
    query = parts.count > 1 ? String(parts[1]) : nil
    self.body = body
    isUpgrade = !head.fields.values(of: "upgrade").isEmpty
  }
}
