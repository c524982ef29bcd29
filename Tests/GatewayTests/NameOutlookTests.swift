import Addressing
import Policy
import Testing

@testable import Gateway

@Suite("What a question would be answered")
struct NameOutlookTests {
  static let now = Timestamp(milliseconds: 1_795_600_000_000)

  static func rule(
    _ id: String, _ action: Action, _ host: String, _ traffic: TrafficProtocol = .https, types: [String] = [],
    agents: Set<AgentName>? = nil
  ) throws -> Rule {
    Rule(
      id: try #require(RuleID(id)), action: action, agents: agents, to: [.exact(try Hostname(host))],
      ports: [PortRange(traffic == .dns ? .domain : .https)], traffic: traffic, recordTypes: types)
  }

  static func policy(mode: Mode = .enforce, defaultAction: Action = .deny) throws -> Policy {
    Policy(
      mode: mode, defaultAction: defaultAction,
      rules: [
        try rule("api", .allow, "api.test"), try rule("later", .ask, "later.test"),
        try rule("evil", .deny, "evil.test"),
        try rule("mail", .allow, "mail.test", .dns, types: ["TXT", "MX"]),
        try rule("mine", .allow, "mine.test", agents: [try #require(AgentName("ci"))]),
      ])
  }

  /// The answers as `TYPES=answer/reason/rule/error`.
  static func words(_ outlook: NameOutlook) -> [String] {
    outlook.entries.map { entry in
      let rule = entry.decision.rule.map { "/\($0.id)" } ?? "",
        error = entry.extendedError.map { "/\($0)" } ?? ""
      return
        "\(entry.types.joined(separator: ","))=\(entry.answer.rawValue)/\(entry.decision.reason.rawValue)\(rule)\(error)"
    }
  }

  static let names: [(host: String, words: [String])] = [
    (
      "api.test",
      ["A,AAAA,CNAME=forwarded/rule/api", "SVCB,HTTPS=no-data/rule/api", "=no-data/record-type/18"]
    ),
    (
      "later.test",
      [
        "A,AAAA,CNAME=forwarded/ask-rule/later", "SVCB,HTTPS=no-data/ask-rule/later",
        "=no-data/record-type/18",
      ]
    ),
    (
      "mail.test",
      [
        "A,AAAA,CNAME=forwarded/rule/mail", "TXT,MX=forwarded/rule/mail", "SVCB,HTTPS=no-data/rule/mail",
        "=no-data/record-type/18",
      ]
    ),
    ("evil.test", ["=nxdomain/deny-rule/evil/15"]), ("mine.test", ["=nxdomain/no-rule/18"]),
    ("none.test", ["=nxdomain/no-rule/18"]),
  ]

  @Test("all types of a name", arguments: names)
  func name(_ host: String, _ words: [String]) throws {
    let outlook = NameOutlook(of: try Hostname(host), agent: .default, under: try Self.policy(), at: Self.now)
    #expect(Self.words(outlook) == words)
  }

  static let types: [(type: String, host: String, word: String)] = [
    ("A", "api.test", "A=forwarded/rule/api"), ("HTTPS", "api.test", "HTTPS=no-data/rule/api"),
    ("ANY", "api.test", "ANY=minimal/rule/api"), ("TXT", "api.test", "TXT=no-data/record-type/18"),
    ("TXT", "mail.test", "TXT=forwarded/rule/mail"), ("SRV", "mail.test", "SRV=no-data/record-type/18"),
    ("AXFR", "api.test", "AXFR=refused/record-type/18"), ("AXFR", "none.test", "AXFR=refused/record-type/18"),
    ("TYPE65280", "api.test", "TYPE65280=refused/record-type/18"),
    ("ANY", "none.test", "ANY=nxdomain/no-rule/18"),
    ("TXT", "evil.test", "TXT=nxdomain/deny-rule/evil/15"),
    ("HTTPS", "none.test", "HTTPS=nxdomain/no-rule/18"),
  ]

  @Test("one type of a name", arguments: types)
  func type(_ type: String, _ host: String, _ word: String) throws {
    let outlook = NameOutlook(
      try #require(RecordTypes.number(of: type)), of: try Hostname(host), agent: .default,
      under: try Self.policy(), at: Self.now)
    #expect(Self.words(outlook) == [word])
  }

  @Test("in audit mode what a rule could open is asked; with the default ask, what no rule names is not")
  func modes() throws {
    let none = try Hostname("none.test")
    let audit = NameOutlook(of: none, agent: .default, under: try Self.policy(mode: .audit), at: Self.now)
    #expect(
      Self.words(audit) == [
        "A,AAAA,CNAME=forwarded/no-rule", "SVCB,HTTPS=no-data/no-rule", "=forwarded/no-rule",
      ])
    let ask = NameOutlook(
      of: none, agent: .default, under: try Self.policy(defaultAction: .ask), at: Self.now)
    #expect(Self.words(ask) == ["=nxdomain/no-rule/18"])
  }

  @Test("explainQuestion decides as mayQuery does, and says which field of a rule fails")
  func explanation() throws {
    let policy = try Self.policy(), mail = try Hostname("mail.test"), mine = try Hostname("mine.test")
    for type in ["A", "TXT", "SRV"] {
      let explanation = policy.explainQuestion(type, of: mail, agent: .default, at: Self.now)
      #expect(explanation.decision == policy.mayQuery(type, of: mail, agent: .default, at: Self.now))
      let failed = explanation.considered.first { $0.rule.id.text == "mail" }?.failed
      #expect(failed == (type == "SRV" ? [.recordType] : []))
      #expect(explanation.considered.first { $0.rule.id.text == "api" }?.failed == [.host])
    }
    let other = policy.explainQuestion("TXT", of: mine, agent: .default, at: Self.now)
    #expect(other.considered.first { $0.rule.id.text == "mine" }?.failed == [.agent, .traffic])
  }
}
