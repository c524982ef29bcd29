import Addressing

/// Which of two rules wins when both match and their patterns are equally
/// specific: the lesser. A total order, so that the order in the file never matters.
///
/// In turn: a rule that looks at requests; fewer ports; ask over allow; https
/// over tcp (only a tunnel can match both). The rest only settles which of two
/// like rules is named: one for some agents over one for all, the one that
/// opens less, and last the id and the place it was written at.
struct Precedence: Comparable {
  private let constraint: (withoutRequests: Int, ports: Int)
  private let looseness: (action: Int, traffic: Int, agents: Int, leave: Int)
  private let text: (id: String, source: String)

  init(_ rule: Rule) {
    constraint = (rule.requests.isEmpty ? 1 : 0, merged(rule.ports).reduce(0) { $0 + $1.count })
    looseness = (
      rule.action == .allow ? 1 : 0, rule.traffic == .tcp ? 1 : 0, rule.agents?.count ?? .max,
      (rule.allowPrivate ? 1 : 0) + (rule.allowLoopback ? 2 : 0)
    )
    text = (rule.id.text, rule.source)
  }

  static func < (left: Precedence, right: Precedence) -> Bool {
    if left.constraint != right.constraint { return left.constraint < right.constraint }
    if left.looseness != right.looseness { return left.looseness < right.looseness }
    return left.text < right.text
  }

  static func == (left: Precedence, right: Precedence) -> Bool {
    left.constraint == right.constraint && left.looseness == right.looseness && left.text == right.text
  }
}
