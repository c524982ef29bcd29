import Addressing
import Policy
import Testing

@Suite("Host patterns")
struct HostPatternTests {
  struct Case: Sendable, CustomTestStringConvertible {
    var pattern: String, host: String, matches: Bool, because: String
    var testDescription: String { "\(pattern) and \(host): \(because)" }

    init(_ pattern: String, _ host: String, _ matches: Bool, _ because: String) {
      (self.pattern, self.host, self.matches, self.because) = (pattern, host, matches, because)
    }
  }

  static let cases = [
    Case("allowed.test", "allowed.test", true, "the name itself"),
    Case("allowed.test", "AlLoWeD.TeSt", true, "POL-05: case is folded when a name is read"),
    Case("ALLOWED.Test", "allowed.test", true, "POL-05: also in a policy"),
    Case("allowed.test", "allowed.test.", true, "POL-04: the root dot says nothing"),
    Case("allowed.test", "x.allowed.test", false, "exact means exact"),
    Case("allowed.test", "evilallowed.test", false, "POL-02: end of a label, not a label"),
    Case("allowed.test", "allowed.test.evil.test", false, "POL-03: the beginning of a name"),
    Case("allowed.test", "allowedxtest.test", false, "POL-03: a dot stands for a dot"),
    Case("*.wild.test", "a.wild.test", true, "POL-27: one label below"),
    Case("*.wild.test", "a.b.wild.test", true, "POL-27: two labels below"),
    Case("*.wild.test", "wild.test", false, "POL-27: not the apex"),
    Case("*.wild.test", "evilwild.test", false, "POL-02: no label boundary"),
    Case("*.wild.test", "x.evilwild.test", false, "POL-02: no label boundary further up"),
    Case("*.wild.test", "wild.test.evil.test", false, "POL-03: labels in the wrong place"),
    Case("*.wild.test", "a.wild.test.", true, "POL-04: the root dot says nothing"),
    Case("**.wild.test", "wild.test", true, "the apex too"),
    Case("**.wild.test", "a.b.wild.test", true, "and all below"),
    Case("**.wild.test", "evilwild.test", false, "POL-02: no label boundary"),
    Case("*", "anything.example", true, "every name"),
    Case("*", "11.66.0.66", false, "POL-16: no address"),
    Case("*", "[2a0e:b107:66::66]", false, "POL-16: no address"),
    Case("11.11.0.0/16", "11.11.0.10", true, "in the block"),
    Case("11.11.0.0/16", "11.12.0.0", false, "the address behind the block"),
    Case("11.11.0.10", "11.11.0.10", true, "an address alone is a block of one"),
    Case("2a0e:b107::/32", "[2a0e:b107:11::10]", true, "in the block"),
    Case("0.0.0.0/0", "[::ffff:11.0.0.1]", false, "families never mix"),
    Case("0.0.0.0/0", "allowed.test", false, "row 3: no name matches a block"),
    Case("::/0", "11.11.0.10", false, "families never mix"),
  ]

  @Test("whole labels and whole bits are compared", arguments: cases)
  func patterns(_ c: Case) throws {
    #expect(try pattern(c.pattern).matches(try host(c.host)) == c.matches, "\(c.because)")
  }

  @Test("the index and the pattern agree on every case", arguments: cases)
  func index(_ c: Case) throws {
    let policy = Policy(rules: [try rule("r", to: [c.pattern])])
    let explanation = policy.explain(
      Destination(try host(c.host), .https, .https), agent: .default, floor: Floor(), at: now)
    #expect((explanation.considered[0].pattern != nil) == c.matches, "\(c.because)")
  }

  @Test(
    "a pattern reads as the policy file writes it",
    arguments: ["a.test", "*.a.test", "**.a.test", "*", "11.0.0.0/8"])
  func description(_ text: String) throws {
    #expect(try pattern(text).description == text)
  }
}
