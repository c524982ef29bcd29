import Addressing
import Foundation
import Policy
import PolicyFile
import Testing

/// `Tests/Fixtures/semantics.tsv`, read by the reader and decided by the policy; its head says what the fields mean.
@Suite struct SemanticsTests {
  struct Case: Sendable, CustomTestStringConvertible {
    var row, policy, agent, traffic, target, request, answer, reason, rule, because: String

    var testDescription: String { "row \(row), \(policy): \(traffic) \(target) \(request): \(because)" }

    init?(_ line: Substring) {
      let fields = line.split(separator: "\t", omittingEmptySubsequences: false).map(String.init)
      guard fields.count == 10 else { return nil }
      (row, policy, agent, traffic, target) = (fields[0], fields[1], fields[2], fields[3], fields[4])
      (request, answer, reason, rule, because) = (fields[5], fields[6], fields[7], fields[8], fields[9])
    }

    var agentName: AgentName { AgentName(agent) ?? .default }

    var facts: RequestFacts? {
      let words = request.split(separator: " ").map(String.init)
      return words.count == 2 ? RequestFacts(method: words[0], path: words[1]) : nil
    }
  }

  private static let lines = ((try? Repository.text("Tests/Fixtures/semantics.tsv")) ?? "").split(
    separator: "\n")
  static let cases = lines.filter { $0.first != "#" }.compactMap(Case.init)

  /// A line of the head: `# local: …`.
  private static func head(_ key: String) -> [String] {
    let line = lines.first { $0.hasPrefix("# \(key): ") }
    return line.map { $0.split(separator: " ").dropFirst(2).map(String.init) } ?? []
  }

  private static let floor = Floor(
    localAddresses: Set(head("local").compactMap { IPAddress($0) }),
    listeners: head("listeners").compactMap { Endpoint($0) },
    resolvers: Set(head("resolvers").compactMap { Endpoint($0) }))

  private func policy(_ name: some StringProtocol, _ mode: RunMode = .sidecar) throws -> Policy {
    try loader(mode).load(path: Repository.path("Tests/Fixtures/semantics/\(name).yaml")).policy
  }

  @Test("the table is there")
  func present() {
    #expect(
      Self.cases.count > 150 && Self.floor.localAddresses.count == 5
        && Self.head("now") == [testNow.description.replacing(".000", with: "")])
  }

  @Test("what a policy file says is what is decided", arguments: cases)
  func semantics(_ c: Case) throws {
    switch c.answer {
    case "refused":
      let mode = try #require(RunMode(rawValue: c.traffic))
      #expect(throws: PolicyFileError.self) { try policy(c.policy, mode) }
    case "malformed": #expect((try? Authority(c.target.utf8)) == nil)
    case "stays", "closes": try checkReload(c)
    default: try checkDecision(c)
    }
  }

  private func checkReload(_ c: Case) throws {
    let names = c.policy.split(separator: ">"), authority = try Authority(c.target.utf8)
    let before = try policy(names[0]), after = try policy(names[1])
    let first = before.decideTunnel(
      host: authority.host, port: authority.port, agent: c.agentName, floor: Self.floor, at: testNow)
    #expect(first.decision.reason.rawValue == c.reason && first.decision.rule?.id.text == c.rule)
    let stands = after.stillStands(
      first.decision.rule, for: Destination(authority.host, authority.port, first.traffic),
      agent: c.agentName,
      floor: Self.floor, at: testNow)
    #expect(stands == (c.answer == "stays"))
  }

  private func checkDecision(_ c: Case) throws {
    let policy = try policy(c.policy)
    if c.traffic == "alias" {
      let rule = try policy.deniesName(Hostname(c.target), agent: c.agentName, at: testNow)
      #expect(rule?.id.text ?? "-" == c.rule && (rule == nil) == (c.answer == "allow"))
      return
    }
    let decision = try decision(c, policy)
    let happens =
      decision.wouldDeny(in: policy.mode) ? "would-deny" : decision.verdict(in: policy.mode).rawValue
    #expect(happens == c.answer)
    #expect(decision.reason.rawValue == c.reason)
    #expect(decision.rule?.id.text ?? "-" == c.rule)
  }

  private func decision(_ c: Case, _ policy: Policy) throws -> Decision {
    if c.traffic == "resolve" {
      return try policy.mayResolve(Hostname(c.target), agent: c.agentName, at: testNow)
    }
    let authority = try Authority(c.target.utf8)
    guard let traffic = TrafficProtocol(rawValue: c.traffic) else {
      return policy.decideTunnel(
        host: authority.host, port: authority.port, agent: c.agentName, floor: Self.floor, at: testNow
      ).decision
    }
    return policy.decide(
      Destination(authority.host, authority.port, traffic), agent: c.agentName, request: c.facts,
      floor: Self.floor,
      at: testNow)
  }
}
