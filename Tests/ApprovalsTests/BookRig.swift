import Addressing
import Policy
import Testing

@testable import Approvals

/// A book with ids and digests that tests can read, and a clock that they turn.
struct BookRig {
  static let start = Timestamp(milliseconds: 1_800_000_000_000)
  static let me = Person(.control, userID: 1000, processID: 7)

  var book: ApprovalBook
  var now = start
  private var lastWaiter: UInt64 = 0

  /// - Parameter isAttended: Whether somebody can be asked.
  init(isAttended: Bool = true, standing rules: [Rule] = []) {
    book = ApprovalBook(
      generation: 1,
      drawID: {
        var generator = SystemRandomNumberGenerator()
        return PendingID.random(using: &generator)
      }, digest: { "digest of \($0)" })
    book.standing = Policy(rules: rules)
    if isAttended { _ = book.attach(.control) }
  }

  static func key(_ place: String, agent: String = "a1", _ request: RequestFacts? = nil) throws -> ApprovalKey
  {
    let parts = place.split(separator: "/", omittingEmptySubsequences: true)
    let traffic = try #require(TrafficProtocol(rawValue: String(parts[0].dropLast())))
    let authority = try Authority(Array(parts[1].utf8)[...])
    let rule = Rule(
      id: try #require(RuleID("r")), action: .ask, to: [], ports: [], requests: [RequestPattern()])
    return ApprovalKey(
      Destination(authority.host, authority.port, traffic), agent: try #require(AgentName(agent)),
      request: request,
      under: request == nil ? nil : rule)
  }

  /// A connection asks; the domain is the last two labels.
  mutating func ask(
    _ place: String, agent: String = "a1", _ request: RequestFacts? = nil, as waiter: UInt64? = nil,
    under rule: Rule? = nil
  ) throws -> (waiter: UInt64, reply: AskReply) {
    lastWaiter += 1
    let key = try Self.key(place, agent: agent, request)
    var domain: Hostname?
    if case .name(let name) = key.destination.host {
      domain = try? Hostname(name.labels.suffix(2).joined(separator: "."))
    }
    let number = waiter ?? lastWaiter
    return (number, book.ask(ApprovalRequest(key, domain: domain, rule: rule), as: number, at: now))
  }

  /// Opens a question; its connection is held.
  mutating func held(
    _ place: String, agent: String = "a1", _ request: RequestFacts? = nil, under rule: Rule? = nil
  ) throws -> (waiter: UInt64, question: PendingQuestion) {
    let (waiter, reply) = try ask(place, agent: agent, request, under: rule)
    guard case .held(let id, _) = reply else { throw Unexpected(what: "\(place): \(reply)") }
    return (waiter, try #require(book.question(id)))
  }

  mutating func answer(_ question: PendingQuestion, _ answer: ApprovalAnswer) throws -> Decided {
    try book.answer(bound(question, answer), by: Self.me, at: now)
  }

  func bound(_ question: PendingQuestion, _ answer: ApprovalAnswer) -> BoundAnswer {
    BoundAnswer(question.id, generation: question.generation, digest: question.digest, answer)
  }

  mutating func pass(_ time: Duration) { now = now + time }
}

struct Unexpected: Error { var what: String }

extension AskReply {
  var reason: Reason? { if case .denied(let reason) = self { reason } else { nil } }
  var isHeld: Bool { if case .held = self { true } else { false } }
  var isAllowed: Bool { if case .allowed = self { true } else { false } }
}

extension Verdict {
  var isAllowed: Bool { if case .allowed = self { true } else { false } }
  var isDenied: Bool { if case .denied = self { true } else { false } }
}
