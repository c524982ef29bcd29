import Addressing
import Control
import Testing

@testable import exitgate

@Suite("How a question is shown to the person who answers it")
struct PendingViewTests {
  static func question(
    _ host: String, domain: String? = "evil.test",
    offers: [String] = ["once", "time", "session", "always", "refuse", "refuse-always"]
  )
    -> PendingStatus
  {
    PendingStatus(
      id: "k3vt7m2qnd5wzx4a", agent: "ci",
      places: [
        .init(host: host, port: 8443, traffic: "https", rule: "q", candidate: "{ id: \"approved-k\" }")
      ],
      domain: domain, since: "2026-11-29T21:00:00.000Z", last: "2026-11-29T21:00:05.000Z", count: 3,
      waiting: 1,
      generation: 7, digest: "00ff", offers: offers)
  }

  static func shown(_ question: PendingStatus, width: Int = 100) -> String {
    PendingView(question, width: width).lines.map(\.plain).joined(separator: "\n")
  }

  static let hostile = [
    "\u{1b}[2K\rAllow github.com? [Y/n]", "a\nexitgate approve x", "\u{9b}31m", "\u{202e}moc", "\u{200b}",
    "\u{7}",
  ]
  @Test("CTL-08: no byte of the agent's breaks a line, moves the cursor or hides", arguments: hostile)
  func spoofing(_ text: String) {
    var question = Self.question("x.evil.test")
    question.program = text
    question.workingDirectory = text
    question.agent = text
    question.domain = text
    question.places[0].method = text
    question.places[0].path = "/" + text
    question.places[0].candidate = text
    question.places[0].host = text
    let plain = Self.question("x.evil.test")
    let lines = PendingView(question, width: 80).lines
    #expect(
      lines.count <= PendingView(plain, width: 80).lines.count + 2,
      "a line more for the request, one for the program")
    for line in lines {
      let coloured = line.coloured.replacing(/\u{1b}\[[0-9;]*m/, with: "")
      #expect(
        coloured.unicodeScalars.allSatisfy { (0x20...0x7e).contains($0.value) || $0 == "…" }, "\(coloured)")
      #expect(!line.plain.hasPrefix("exitgate approve x"))
    }
  }

  struct Long: Sendable, CustomTestStringConvertible {
    var host: String, width: Int
    var testDescription: String { "\(host.prefix(30)) at \(width)" }
  }
  static let long = [40, 60, 80].flatMap { width in
    [
      "github.com." + String(repeating: "a.", count: 60) + "evil.test",
      String(repeating: "a", count: 63) + ".github.com.evil.test",
    ].map {
      Long(host: $0, width: width)
    }
  }
  @Test("CTL-09: a long name is cut in its left half; its domain and the port stay", arguments: long)
  func cut(_ c: Long) throws {
    let lines = PendingView(Self.question(c.host), width: c.width).lines
    let line = try #require(lines.dropFirst().first)
    #expect(line.plain.contains("…") && line.plain.hasSuffix("evil.test:8443"))
    #expect(line.width <= c.width, "\(line.plain)")
    #expect(line.pieces.contains { $0.text == "evil.test" && $0.style == .strong }, "the domain is marked")
  }

  @Test("A domain wider than the terminal is not cut")
  func wideDomain() {
    let host = "x." + String(repeating: "a", count: 60) + ".test"
    #expect(
      Self.shown(Self.question(host, domain: nil), width: 40).contains(
        String(repeating: "a", count: 60) + ".test:8443"))
  }

  static let names: [(String, String?)] = [
    ("xn--80ak6aa92e.test", "looks like 'apple' and is not"),
    ("xn--pple-43d.test", "looks like 'apple' and is not"),
    ("xn--bcher-kva.test", nil), ("plain.test", nil),
  ]
  @Test(
    "CTL-09: A-labels are shown as they are, with what Unicode makes of them and what that looks like",
    arguments: names)
  func confusable(_ name: String, _ warning: String?) {
    let shown = Self.shown(Self.question(name, domain: name))
    #expect(shown.contains(name))
    #expect(shown.contains("in Unicode") == name.hasPrefix("xn--"))
    #expect(shown.contains("looks like") == (warning != nil))
    if let warning { #expect(shown.contains(warning)) }
  }

  @Test("What is not offered is not shown as a way")
  func offers() {
    let all = Self.shown(Self.question("x.evil.test"))
    #expect(
      all.contains("[--once|--for 1h|--session|--always]")
        && all.contains("always adds  - { id: \"approved-k\" }"))
    let few = Self.shown(Self.question("x.evil.test", offers: ["session", "refuse"]))
    #expect(
      few.contains("[--session]") && !few.contains("--always") && few.contains("'always' is not offered"))
  }
}
