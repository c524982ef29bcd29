import Addressing
import Policy

/// Reads one policy file's tree.
struct DocumentReader {
  static let keys = [
    "version", "mode", "audit-until", "include", "defaults", "agents", "reviewers", "rules", "files",
    "process", "about", "expect",
  ]

  let scope: Scope
  let origin: DocumentOrigin
  let enforcement: Enforcement
  /// The machine whose users may review.
  let machine: Machine

  /// Reads the document; nil, after a report, when it is no mapping.
  func read(_ root: Node) -> Document? {
    guard
      let fields = Fields(
        root, in: scope, of: "a policy", keys: Self.keys, example: "a policy, beginning with 'version: 1'")
    else { return nil }
    Self.checkVersion(fields)
    checkPlace(fields)
    var document = Document(scope: scope, origin: origin)
    document.mode = fields["mode"].flatMap { scope.choice($0, "'mode'", from: Mode.allCases) }
    document.auditUntil = fields["audit-until"].flatMap { node in
      scope.timestamp(node, "'audit-until'").map { ($0, node.mark) }
    }
    document.includes = includes(fields)
    (document.defaultAction, document.hold) = defaults(fields)
    document.agents = AgentsReader(scope: scope, enforcement: enforcement).read(fields["agents"])
    if let node = fields["reviewers"] {
      document.reviewers = ReviewersReader(scope: scope, users: machine.users()).read(node)
    }
    document.rules = rules(fields, enforcement.given(document.agents))
    document.sandbox = SandboxReader(scope: scope).read(fields)
    enforcement.checkSandbox(fields, origin)
    document.about = fields.text("about", example: "a sentence about the list")
    document.expectations = ExpectationReader(scope: scope).read(fields["expect"])
    return document
  }

  static func checkVersion(_ fields: Fields) {
    let scope = fields.scope
    guard let node = fields.required("version", of: "the policy", example: "version: 1") else { return }
    switch node.scalar {
    case .integer(1) where node.isPlainDecimal: return
    case .integer(let number) where number != 1:
      scope.error(node.mark, "this exitgate reads version 1 alone, not \(found(node))", "Write 'version: 1'")
    default: scope.wrongType(node, "'version'", "1")
    }
  }

  /// Keys that have their place in other files: those of the whole policy in
  /// the main file, `expect` in a list, which is what has `about`.
  private func checkPlace(_ fields: Fields) {
    let isList = fields.has("about")
    for key in ["mode", "audit-until", "defaults", "agents", "reviewers"] where fields.has(key) {
      if isList {
        scope.error(
          fields.mark(of: key), "'\(key)' cannot stand in a list, which is what 'about' makes of a file",
          "Remove one of the two")
      } else if origin != .main {
        scope.error(
          fields.mark(of: key), "'\(key)' stands in an included file",
          "Move it to the policy that includes this one")
      }
    }
    if fields.has("expect"), !isList {
      scope.error(
        fields.mark(of: "expect"), "'expect' stands in a policy that is no list", "Add 'about', or remove it")
    }
  }

  private func includes(_ fields: Fields) -> [Inclusion] {
    guard let node = fields["include"] else { return [] }
    let items =
      scope.items(node, "'include'", example: "[builtin:npm, file:team.yaml]", mayBeEmpty: true) ?? []
    return items.compactMap(inclusion)
  }

  private func inclusion(_ node: Node) -> Inclusion? {
    let example = "builtin:NAME, system:NAME or file:PATH"
    guard let text = scope.text(node, "an entry of 'include'", example: example) else { return nil }
    let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
    if parts.count == 2, !parts[1].isEmpty, let kind = Inclusion.Kind(rawValue: String(parts[0])) {
      return Inclusion(kind: kind, name: String(parts[1]), mark: node.mark)
    }
    let remedy = BuiltinAllowlists.names.contains(text) ? "builtin:\(text)" : example
    scope.error(node.mark, "\(quoted(text)) does not say what to include", "Write \(remedy)")
    return nil
  }

  private func defaults(_ fields: Fields) -> (Action?, Duration?) {
    guard let node = fields["defaults"],
      let defaults = Fields(
        node, in: scope, of: "'defaults'", keys: ["action", "hold"],
        example: "defaults such as { action: deny, hold: 8s }")
    else { return (nil, nil) }
    return (defaults["action"].flatMap(defaultAction), defaults["hold"].flatMap(hold))
  }

  private func defaultAction(_ node: Node) -> Action? {
    if node.scalar == .text("allow") {
      scope.error(
        node.mark, "'action' cannot be 'allow' here: everything would be open",
        "Write deny or ask, and 'mode: audit' to watch without blocking")
      return nil
    }
    return scope.choice(node, "'action'", from: [Action.deny, .ask])
  }

  /// The longest time a connection may be held: clients give up long before.
  static let longestHold = Duration.seconds(600)

  private func hold(_ node: Node) -> Duration? {
    guard let hold = scope.duration(node, "'hold'", mayBeZero: true) else { return nil }
    if hold <= Self.longestHold { return hold }
    scope.error(node.mark, "'hold' is longer than 10m", "Write a time that clients wait for, such as 8s")
    return nil
  }

  private func rules(_ fields: Fields, _ enforcement: Enforcement) -> [RuleDraft] {
    guard let node = fields["rules"] else { return [] }
    let items =
      scope.items(node, "'rules'", example: "[\(RuleReader.example.dropFirst(15))]", mayBeEmpty: true) ?? []
    let reader = RuleReader(scope: scope, origin: origin, enforcement: enforcement)
    return items.compactMap(reader.read)
  }
}
