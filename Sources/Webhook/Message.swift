import Audit
import Control

/// What is posted, version 1 of its form.
enum Message {
  static let version: Int64 = 1

  /// The body of a message.
  ///
  /// - Parameters:
  ///   - sent: RFC 3339.
  ///   - host: The name of the gate's machine.
  static func body(_ delivery: DeliveryQueue.Delivery, sent: String, host: String, gate: String) -> [UInt8] {
    var members: [JSONValue.Member] = [
      .init("version", .integer(version)), .init("event", .string(word(delivery.content))),
      .init("sent", .string(sent)),
      .init("gate", .object([.init("host", text(host)), .init("version", text(gate))])),
    ]
    switch delivery.content {
    case .hello: break
    case .asked(let question): members.append(.init("question", question.json))
    case .closed(let closed): members.append(.init("closed", closed.json))
    }
    var writer = JSONWriter()
    writer.value(.object(members))
    return writer.bytes
  }

  private static func word(_ content: DeliveryQueue.Delivery.Content) -> String {
    switch content {
    case .hello: "hello"
    case .asked: "asked"
    case .closed: "closed"
    }
  }

  private static func text(_ text: String) -> JSONValue { .string(text) }

  /// The fields by which a receiver knows whose it is, and that it is no repetition of long ago.
  static func fields(
    _ delivery: DeliveryQueue.Delivery, _ body: [UInt8], at seconds: Int64, by secret: WebhookSecret
  ) -> [(name: String, value: String)] {
    [
      ("Idempotency-Key", delivery.key), ("Exitgate-Timestamp", "\(seconds)"),
      ("Exitgate-Signature", "v1=" + secret.signature(of: "\(seconds).", body)),
    ]
  }
}
