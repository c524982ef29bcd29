import Audit
import Policy

/// Who is stopped, and what that has cut.
public struct StopReport: Hashable, Sendable {
  /// The order in force.
  public var order: StopOrder
  /// Connections that were cut.
  public var closed: Int
  /// What did not become of it, one sentence each; empty when all did.
  public var warnings: [String]

  /// Makes a report.
  public init(order: StopOrder, closed: Int = 0, warnings: [String] = []) {
    (self.order, self.closed, self.warnings) = (order, closed, warnings)
  }
}

extension StopReport {
  /// The JSON object that stands for it on the control socket and in `--json`.
  public var json: JSONValue { json(cap: .max) }

  func json(cap: Int) -> JSONValue {
    .object(
      order.members(cap: cap) + [
        .init("closed", .integer(Int64(closed))), .init("warnings", .array(warnings.prefix(cap).map(text))),
      ])
  }

  init(_ fields: Fields) throws(ControlError) {
    self.init(
      order: try StopOrder(fields), closed: try fields.number("closed"),
      warnings: try fields.texts("warnings"))
  }
}

extension StopOrder {
  func members(cap: Int) -> [JSONValue.Member] {
    [
      .init("everybody", .bool(everybody)),
      .init("agents", .array(agents.map(\.text).sorted().prefix(cap).map { .string($0) })),
    ]
  }

  init(_ fields: Fields) throws(ControlError) {
    self.init(everybody: try fields.flag("everybody"), agents: Set(try agentNames(fields.texts("agents"))))
  }
}
