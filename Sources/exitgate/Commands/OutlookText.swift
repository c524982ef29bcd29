import Audit
import Gateway
import Policy

extension NameOutlook {
  /// The answers in one line: `A, AAAA, CNAME: asked upstream (rule api); others: no data`.
  var line: String {
    entries.map { entry in entry.line(isAlone: entries.count == 1) }.joined(separator: "; ")
  }
}

extension NameOutlook.Entry {
  fileprivate func line(isAlone: Bool) -> String {
    let types = types.isEmpty ? isAlone ? "" : "others: " : types.joined(separator: ", ") + ": "
    guard answer == .nameDoesNotExist || answer == .refused else { return types + words }
    let error = extendedError.map { ", EDE \($0) \($0 == 15 ? "Blocked" : "Prohibited")" } ?? ""
    return "\(types)\(words)\(error): \(decision.reason.rawValue)\(decision.rule.map { " \($0.id)" } ?? "")"
  }

  private var words: String {
    switch answer {
    case .forwarded: "asked upstream" + (decision.rule.map { " (rule \($0.id))" } ?? " (NOT ENFORCING)")
    case .noData: "no data"
    case .minimal: "one HINFO record"
    case .refused: "REFUSED"
    case .nameDoesNotExist: "NXDOMAIN"
    }
  }

  var json: JSONValue {
    .object([
      .init("types", .array(types.map { .string($0) })), .init("answer", .string(answer.rawValue)),
      .init("reason", .string(decision.reason.rawValue)),
      .init("rule", decision.rule.map { .string($0.id.text) } ?? .null),
      .init("ede", extendedError.map { .integer(Int64($0)) } ?? .null),
    ])
  }
}
