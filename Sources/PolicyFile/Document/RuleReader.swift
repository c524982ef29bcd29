import Addressing
import Policy

/// A rule as read, with the places that later checks name.
struct RuleDraft {
  var mark: Mark
  var scope: Scope
  /// Whether it stands in a built-in or system list.
  var isFromList: Bool
  var id: (name: RuleID, mark: Mark)?
  var agents: [(name: AgentName, mark: Mark)] = []
  var patterns: [(pattern: HostPattern, mark: Mark)] = []
  /// nil when a part without which there is no rule was missing or wrong.
  var rule: Rule?
}

/// Reads the rules of one document.
struct RuleReader {
  static let keys = [
    "id", "action", "agents", "to", "ports", "protocol", "limits", "reason", "owner", "expires", "source",
    "allow-private", "allow-loopback", "allow-public-suffix", "http", "types",
  ]
  static let example = "a rule such as { id: api, action: allow, to: [api.example.com] }"

  let scope: Scope
  let origin: DocumentOrigin
  let enforcement: Enforcement

  /// Reads one rule; nil, after a report, when it is no mapping.
  func read(_ node: Node) -> RuleDraft? {
    guard let fields = Fields(node, in: scope, of: "a rule", keys: Self.keys, example: Self.example) else {
      return nil
    }
    var draft = RuleDraft(mark: node.mark, scope: scope, isFromList: origin.isList)
    draft.id = id(fields)
    draft.agents = agents(fields)
    let action = fields.required("action", of: "the rule", example: "action: allow")
      .flatMap { scope.choice($0, "'action'", from: [Action.allow, .ask, .deny]) }
    draft.patterns = hosts(fields, action: action)
    let parts = RuleParts(fields, traffic: traffic(fields), scope: scope)
    draft.rule = assemble(fields, draft, action, parts)
    enforcement.check(fields, parts, action: action, origin: origin, patterns: draft.patterns)
    return draft
  }

  private func assemble(_ fields: Fields, _ draft: RuleDraft, _ action: Action?, _ parts: RuleParts) -> Rule?
  {
    let note = fields.text("reason", example: "reason: why this is needed")
    let owner = fields.text("owner", example: "owner: infra@example.com")
    checkSource(fields)
    let expires = fields["expires"].flatMap { scope.timestamp($0, "'expires'") }
    let allowPrivate = fields.flag("allow-private"), allowLoopback = fields.flag("allow-loopback")
    guard let id = draft.id?.name, let action else { return nil }
    guard !(origin.isBuiltin && enforcement.leavesOut(action, parts.traffic)) else { return nil }
    return Rule(
      id: id, action: action, agents: fields.has("agents") ? Set(draft.agents.map(\.name)) : nil,
      to: draft.patterns.map(\.pattern), ports: parts.ports, traffic: parts.traffic, requests: parts.requests,
      limits: parts.limits, allowPrivate: allowPrivate, allowLoopback: allowLoopback,
      recordTypes: parts.recordTypes, note: note, owner: owner, expires: expires,
      source: "\(scope.file):\(draft.mark.line)")
  }

  private func id(_ fields: Fields) -> (RuleID, Mark)? {
    guard let node = fields.required("id", of: "the rule", example: "id: a-name-for-the-log"),
      let text = scope.text(node, "'id'", example: "a name such as github-api")
    else { return nil }
    if RuleID(text) != nil, let id = RuleID(origin.idPrefix + text) { return (id, node.mark) }
    scope.error(
      node.mark, "\(quoted(text)) cannot be an id",
      "Write at most \(RuleID.maximumLength - origin.idPrefix.utf8.count) letters, digits and '_.:/-', "
        + "a letter or a digit first")
    return nil
  }

  private func agents(_ fields: Fields) -> [(AgentName, Mark)] {
    guard let node = fields["agents"] else { return [] }
    let items = scope.items(node, "'agents'", example: "[ci]") ?? []
    return items.compactMap { item in scope.agentName(item).map { ($0, item.mark) } }
  }

  private func traffic(_ fields: Fields) -> TrafficProtocol {
    fields["protocol"].flatMap { scope.choice($0, "'protocol'", from: TrafficProtocol.allCases) } ?? .https
  }

  private func checkSource(_ fields: Fields) {
    guard let node = fields["source"], let text = fields.text("source", example: "the document's address")
    else {
      return
    }
    guard !text.utf8.starts(with: "https://".utf8) else { return }
    scope.error(
      node.mark, "'source' is no address of a public document", "Write one that begins with https://")
  }
}

extension Scope {
  /// A time of RFC 3339, or nil after a report.
  func timestamp(_ node: Node, _ name: String) -> Timestamp? {
    guard let text = text(node, name, example: "a time such as 2027-01-31T00:00:00Z") else { return nil }
    if let time = Timestamp(text) { return time }
    let remedy = Timestamp(text + "T00:00:00Z").map { _ in "\(text)T00:00:00Z" } ?? "2027-01-31T00:00:00Z"
    error(node.mark, "\(quoted(text)) is no RFC 3339 time", "Write \(remedy)")
    return nil
  }

  /// The name of an agent, or nil after a report.
  func agentName(_ node: Node) -> AgentName? {
    guard let text = text(node, "the agent's name", example: "a name such as ci") else { return nil }
    return agentName(text, at: node.mark)
  }

  func agentName(_ text: String, at mark: Mark) -> AgentName? {
    if let name = AgentName(text) { return name }
    error(
      mark, "\(quoted(text)) cannot be an agent's name",
      "Write at most \(AgentName.maximumLength) of a-z, 0-9, '_' and '-', a letter or a digit first")
    return nil
  }
}
