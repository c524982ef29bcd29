/// The answer to a request for a page.
public struct PageAnswer: Sendable {
  /// A status code (RFC 9110 §15).
  public var status: Int
  /// The media type of the body.
  public var type: String
  /// Fields beside those of every answer; neither name nor value may come from outside.
  public var fields: [(name: String, value: String)] = []
  /// The body.
  public var body: [UInt8]

  /// Makes an answer.
  public init(status: Int = 200, type: String, body: [UInt8]) {
    self.status = status
    self.type = type
    self.body = body
  }

  /// A line of text.
  public static func text(_ status: Int, _ line: String) -> PageAnswer {
    PageAnswer(status: status, type: "text/plain; charset=utf-8", body: Array("\(line)\n".utf8))
  }

  /// The answer on the wire. Nothing may keep it, guess its type or put it in a frame.
  ///
  /// - Source: RFC 9112 §4, RFC 9111 §5.2.2.5; Fetch standard, `X-Content-Type-Options`.
  func bytes(headOnly: Bool, keepAlive: Bool) -> [UInt8] {
    let head = head([("Content-Length", "\(body.count)")], keepAlive: keepAlive)
    return headOnly ? head : head + body
  }

  /// The head of an answer whose end is that of the connection, and the beginning of its body.
  var openBytes: [UInt8] { head([], keepAlive: false) + body }

  private func head(_ framing: [(String, String)], keepAlive: Bool) -> [UInt8] {
    let own =
      [("Content-Type", type)] + framing + [
        ("Cache-Control", "no-store"), ("X-Content-Type-Options", "nosniff"),
        ("Connection", keepAlive ? "keep-alive" : "close"),
      ]
    let lines = (own + fields.map { ($0.name, $0.value) }).map { "\($0): \($1)\r\n" }.joined()
    return Array("HTTP/1.1 \(status) \(Self.phrases[status] ?? "Status")\r\n\(lines)\r\n".utf8)
  }

  private static let phrases = [
    200: "OK", 204: "No Content", 303: "See Other", 400: "Bad Request", 403: "Forbidden", 404: "Not Found",
    405: "Method Not Allowed", 409: "Conflict", 413: "Content Too Large", 414: "URI Too Long",
    417: "Expectation Failed",
    415: "Unsupported Media Type", 421: "Misdirected Request", 431: "Request Header Fields Too Large",
    501: "Not Implemented",
    503: "Service Unavailable", 505: "HTTP Version Not Supported",
  ]
}
