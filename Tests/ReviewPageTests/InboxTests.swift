import Addressing
import Audit
import Control
import EventLoop
import Policy
import Synchronization
import Testing

@testable import Review
@testable import ReviewPage

/// What waits for a person, and what becomes of his answer, without a gate.
@Suite("The inbox of the review page")
struct InboxTests {
  static let fields = [
    "id": "aaaaaaaaaaaaaaaa", "generation": "7", "digest": "00ff", "answer": "once", "note": "docs",
  ]

  private func request(_ changes: [String: String?]) -> ControlRequest? {
    var fields = Self.fields
    for (name, value) in changes { fields[name] = value }
    return Answering.request { fields[$0] }
  }

  @Test("each button is one answer, bound to what was shown, and says that it comes from the page")
  func answers() {
    let order = AnswerOrder(
      id: "aaaaaaaaaaaaaaaa", generation: 7, digest: "00ff", scope: "once", note: "docs", channel: "page")
    #expect(request([:]) == .approve(order))
    for (word, scope) in [("session", "session"), ("always", "always")] {
      var other = order
      other.scope = scope
      #expect(request(["answer": word]) == .approve(other))
    }
    for (word, scope) in [("refuse", "once"), ("refuse-session", "session"), ("refuse-always", "always")] {
      var other = order
      other.scope = scope
      #expect(request(["answer": word]) == .refuse(other))
    }
    var timed = order
    (timed.scope, timed.seconds) = ("time", 3600)
    #expect(request(["answer": "time", "seconds": "3600"]) == .approve(timed))
  }

  @Test(
    "CTL-12: what names no question, no generation or no digest is no answer",
    arguments: ["id", "generation", "digest", "answer"])
  func unbound(_ name: String) {
    #expect(request([name: nil]) == nil)
    #expect(request(["generation": "-1"]) == nil && request(["generation": "7x"]) == nil)
    #expect(request(["answer": "approve"]) == nil && request(["answer": "time"]) == nil)
    #expect(request(["answer": "time", "seconds": "1h"]) == nil)
  }

  @Test("what the gate says is what the person hears")
  func outcomes() {
    for (reply, isApplied, text) in [
      (.answered("allowed (once)"), true, "allowed (once)"),
      (.refused("it is decided already"), false, "it is decided already"),
      (.revoked(2), true, "taken back; 2 connections cut"),
      (.listed(0), false, "the gate answered something else"),
    ] as [(ControlReply, Bool, String)] {
      let line = GateLine(ask: { _ in [reply] }, follow: { _, _, _ in })
      #expect(Answering(line: line).answer { Self.fields[$0] } == .init(isApplied: isApplied, text: text))
    }
    #expect(Answering(line: nil).answer { Self.fields[$0] }?.isApplied == false)
    #expect(Answering(line: nil).answer { _ in nil } == nil)
  }

  @Test("a list that is cut short is no list")
  func lists() throws {
    let whole = GateLine(ask: { _ in [.question(Self.question()), .listed(1)] }, follow: { _, _, _ in })
    #expect(try whole.questions() == [Self.question()])
    for replies in [[.question(Self.question())], [.listed(1)], [], [.refused("no")]] as [[ControlReply]] {
      let line = GateLine(ask: { _ in replies }, follow: { _, _, _ in })
      #expect(throws: ReviewProblem.self) { try line.questions() }
    }
  }

  static func question(_ host: String = "x.evil.test") -> PendingStatus {
    PendingStatus(
      id: "aaaaaaaaaaaaaaaa", agent: "a1",
      places: [
        .init(host: host, port: 443, traffic: "https", rule: "q", candidate: "{ id: \"approved-a\" }")
      ],
      domain: "evil.test", since: "2026-11-29T21:00:00.000Z", last: "2026-11-29T21:00:05.000Z", count: 2,
      waiting: 1, generation: 7, digest: "00ff",
      offers: ["once", "time", "session", "always", "refuse", "refuse-session", "refuse-always"])
  }

  /// Decisions of two agents about three hosts.
  private func totals() throws -> [Tally] {
    try [
      ("a1", "x.evil.test", Action.deny, 3), ("a2", "x.evil.test", .allow, 5),
      ("a2", "y.evil.test", .allow, 1),
      ("a2", "x.other.test", .allow, 1), ("a1", "notevil.test", .allow, 9),
    ].map { agent, host, verdict, times in
      var kind = RecordKind(event: .decision)
      (kind.agent, kind.verdict) = (agent, verdict)
      kind.destination = Destination(.name(try Hostname(host)), .https, .https)
      let time: Int64 = 1_795_000_000_000
      return Tally(
        kind, hour: nil,
        Amount(
          count: UInt64(times), first: time, last: time, earliest: time, bytesOut: 0, bytesIn: 0,
          lostEvents: 0))
    }
  }

  @Test("who else uses the destination, and what a wider rule would cover, are read out of the log")
  func use() throws {
    let use = PlaceUse(of: .name(try Hostname("x.evil.test")), for: "a1", in: try totals())
    #expect(use.own.blocked == 3 && use.own.passed == 0)
    #expect(use.others.keys.sorted() == ["a2"] && use.others["a2"]?.passed == 5)
    #expect(use.neighbours == ["y.evil.test"])
    let card = QuestionCard(Self.question(), totals: try totals(), token: "t").item.markup
    #expect(
      card.contains("a2: passed 5, blocked 0") && card.contains("**.evil.test would cover every name there"))
    #expect(card.contains("in the log: y.evil.test.") && card.contains("- { id: &quot;approved-a&quot; }"))
  }

  @Test("CTL-09: what a name could be taken for, and what is odd about a destination, is marked")
  func marks() throws {
    func words(_ host: String, _ port: UInt16 = 443, _ traffic: TrafficProtocol = .https) throws -> [String] {
      let place: Host =
        if let address = IPAddress(host) { .address(address) } else { .name(try Hostname(host)) }
      return PlaceMarks.words(
        for: Destination(place, try #require(Port(port)), traffic), method: nil, addresses: [], isKnown: true)
    }
    #expect(try words("plain.example.com") == [])
    #expect(try words("xn--80ak6aa92e.example.com") == ["looks like 'apple' and is not"])
    #expect(try words("192.0.2.1") == ["an address, not a name"])
    #expect(try words("x.example.com", 8443) == ["port 8443 is unusual"])
    #expect(try words("x.example.com", 5432, .tcp) == ["opaque bytes, nothing is looked at inside"])
    #expect(try words("x.example.com", 80, .http) == ["not encrypted"])
    #expect(
      try words(String(repeating: "a", count: 40) + ".example.com") == ["a label as long as data would be"])
    let inside = PlaceMarks.words(
      for: Destination(.name(try Hostname("x.example.com")), .https, .https), method: "POST",
      addresses: [try #require(IPAddress("10.0.0.5")), try #require(IPAddress("93.184.216.34"))],
      isKnown: false)
    #expect(
      inside == ["POST sends data", "resolves to 10.0.0.5, which is private", "no ready-made list knows it"])
  }

  @Test("CTL-09: a name's own letters stand in it and turn nothing; all else is escaped")
  func letters() {
    #expect(HTML(letters: "bücher.\u{444}.test").markup == "<bdi>bücher.\u{444}.test</bdi>")
    #expect(
      HTML(letters: "a\u{202e}b<\u{200b}&\u{301}").markup
        == "<bdi>a\\u{202e}b&lt;\\u{200b}&amp;\\u{301}</bdi>")
  }

  @Test("CTL-13: Enter in the text of a question is a refusal: no approval is a form's first button")
  func firstButton() throws {
    let card = QuestionCard(Self.question(), totals: [], token: "t").item.markup
    let first = try #require(card.firstMatch(of: /<button type="submit" name="answer" value="([a-z-]+)"/))
    #expect(first.1 == "refuse")
    var readOnly = Self.question()
    readOnly.offers = []
    #expect(!QuestionCard(readOnly, totals: [], token: "t").item.markup.contains("<form"))
  }
}
