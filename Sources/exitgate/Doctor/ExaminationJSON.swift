import Audit
import PolicyFile

extension Examination {
  /// Everything, as an object.
  ///
  /// - Parameter built: The modes that this version has.
  func json(built: Set<RunMode>) -> JSONValue {
    .object([
      .init("findings", .array(findings.map(\.json))),
      .init("modes", .array(RunMode.allCases.map { json(of: $0, isBuilt: built.contains($0)) })),
    ])
  }

  private func json(of mode: RunMode, isBuilt: Bool) -> JSONValue {
    let losses = losses(of: mode).map { loss in
      JSONValue.object([.init("finding", .string(loss.finding.id))] + loss.need.members)
    }
    return .object([
      .init("mode", .string(mode.rawValue)), .init("built", .bool(isBuilt)),
      .init("verdict", .string(verdict(for: mode).rawValue)), .init("losses", .array(losses)),
    ])
  }
}

extension Finding {
  fileprivate var json: JSONValue {
    .object([
      .init("id", .string(id)), .init("title", .string(title)), .init("state", .string(state.rawValue)),
      .init("detail", .string(detail)),
      .init(
        "needs",
        .array(
          needs.map { need in
            .object(
              [
                .init("modes", .array(need.modes.map { .string($0.rawValue) })),
                .init("met", need.isMet.map(JSONValue.bool) ?? .null),
              ] + need.members)
          })),
    ])
  }
}

extension Need {
  fileprivate var members: [JSONValue.Member] {
    [
      .init("severity", .string(severity.rawValue)), .init("loss", .string(loss)),
      .init("remedy", .string(remedy)),
    ]
  }
}
