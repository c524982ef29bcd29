import Addressing
import Policy
import Testing

@Suite("Path patterns")
struct PathPatternTests {
  struct Case: Sendable, CustomTestStringConvertible {
    var pattern: String, path: String, matches: Bool, because: String
    var testDescription: String { "\(pattern) and \(path): \(because)" }

    init(_ pattern: String, _ path: String, _ matches: Bool, _ because: String) {
      (self.pattern, self.path, self.matches, self.because) = (pattern, path, matches, because)
    }
  }

  static let cases = [
    Case("/a", "/a", true, "the path itself"), Case("/a", "/A", false, "case counts in paths"),
    Case("/a", "/a/", false, "another resource"), Case("/", "/", true, "the root"),
    Case("/*", "/", true, "a run may be empty"), Case("/*", "/abc", true, "one segment"),
    Case("/*", "/a/b", false, "`*` does not cross a slash"),
    Case("/a/*/c", "/a/b/c", true, "one segment between"),
    Case("/a/*/c", "/a/b/b/c", false, "two segments between"),
    Case("/a*c", "/abbc", true, "within a segment"),
    Case("/a*c", "/ab/c", false, "never across"),
    Case("/repository/**", "/repository/a/b", true, "`**` crosses"),
    Case("/repository/**", "/repository/", true, "a run may be empty"),
    Case("/repository/**", "/repository", false, "the slash is part of the pattern"),
    Case("/repository/**", "/repositoryx/a", false, "whole segments"),
    Case("/**/x", "/a/b/x", true, "in the middle"),
    Case("/**x*y", "/a/xb/xay", true, "tries every way through"),
    Case("/**x*y", "/a/xb/xa/y", false, "and gives up after all"),
    Case("/***", "/a/b", true, "three are as good as two"),
    Case("/caf%c3%a9", "/caf%C3%A9", true, "hex digits have no case"),
    Case("/a b", "/a b", false, "no pattern at all"),
    Case("/a%20b", "/a%20b", true, "what can be written in no other way"),
    Case("/p", "/p?q", false, "no query"),
  ]

  @Test("`*` stays within a segment, `**` does not", arguments: cases)
  func table(_ c: Case) {
    #expect((PathPattern(c.pattern)?.matches(c.path) ?? false) == c.matches, "\(c.because)")
  }

  static let ambiguous = [
    "/public/../secret", "/public/%2e%2e/secret", "/public/.%2E/secret", "/public/./x", "/public/.",
    "/public/..",
    "/public;/../secret", "/public/x;y=z", "/public/%2fsecret", "/public/%2Fsecret", "/public/%5csecret",
    "/public/\\secret", "/public//secret", "//secret", "/public/%252e", "/public/%00", "/public/%7f",
    "/public/\u{7f}",
    "/public/%61", "/public/%", "/public/%4", "/public/%zz", "/public/\u{e9}", "/public/ x", "/public/x#y",
    "", "*",
    "public/x", "/public/%3bx", "/public/%09", "/..", "/.",
  ]

  @Test("HTTP-30: a path that can be read in two ways matches no allow rule", arguments: ambiguous)
  func allow(_ path: String) throws {
    #expect(!PathPattern.isCanonical(path))
    let pattern = try #require(PathPattern("/public/**")), wide = try #require(PathPattern("/**"))
    #expect(!pattern.matches(path) && !wide.matches(path))
    let policy = Policy(rules: [
      try rule("p", to: ["plain.test"], .http, requests: [RequestPattern(path: pattern)])
    ])
    let decision = try policy.decide("http://plain.test:80", request: RequestFacts(method: "GET", path: path))
    #expect(decision.reason == .noRule && decision.nearMiss == .request)
    #expect(
      try policy.decide("http://plain.test:80", request: RequestFacts(method: "GET", path: "/public/x"))
        .answer == .allow)
  }

  @Test("HTTP-30: nor does such a path dodge a deny or ask rule", arguments: ambiguous)
  func restrict(_ path: String) throws {
    let secret = RequestPattern(path: PathPattern("/secret/**"))
    let open = try rule("open", to: ["plain.test"], .http)
    for (action, reason) in [(Action.deny, Reason.denyRule), (.ask, .malformed)] {
      let policy = Policy(rules: [
        open, try rule("guard", action, to: ["plain.test"], .http, requests: [secret]),
      ])
      let decision = try policy.decide(
        "http://plain.test:80", request: RequestFacts(method: "GET", path: path))
      #expect(decision.answer == .deny && decision.reason == reason && decision.rule?.id.text == "guard")
      let harmless = try policy.decide(
        "http://plain.test:80", request: RequestFacts(method: "GET", path: "/public/x"))
      #expect(harmless.answer == .allow, "the control")
    }
  }

  @Test("methods are compared byte by byte, and any entry is enough")
  func methods() throws {
    let policy = Policy(rules: [
      try rule(
        "r", to: ["plain.test"], .http,
        requests: [
          RequestPattern(methods: ["GET", "HEAD"]),
          RequestPattern(methods: ["PUT"], path: PathPattern("/up/*")),
        ])
    ])
    let table: [(RequestFacts?, Bool)] = [
      (RequestFacts(method: "GET", path: "/../x"), true), (RequestFacts(method: "get", path: "/x"), false),
      (RequestFacts(method: "PUT", path: "/up/x"), true), (RequestFacts(method: "PUT", path: "/x"), false),
      (RequestFacts(method: "POST", path: "/x"), false), (nil, false),
    ]
    for (request, isAllowed) in table {
      #expect(
        try policy.decide("http://plain.test:80", request: request).answer == (isAllowed ? .allow : .deny),
        "\(request?.path ?? "none")")
    }
  }

  @Test("agrees with a recursive twin on thousands of drawn patterns")
  func twin() throws {
    var numbers = SeededNumbers(seed: 5)
    let draw = { (alphabet: String, numbers: inout SeededNumbers) in
      "/"
        + String(
          (0..<Int.random(in: 0...7, using: &numbers)).compactMap { _ in
            alphabet.randomElement(using: &numbers)
          })
    }
    var matched = 0
    for _ in 0..<20_000 {
      let text = draw("ab/**", &numbers), path = draw("ab/", &numbers)
      guard let pattern = PathPattern(text), PathPattern.isCanonical(path) else { continue }
      let expected = naiveMatch(Array(text.utf8)[...], Array(path.utf8)[...])
      matched += expected ? 1 : 0
      #expect(pattern.matches(path) == expected, "\(text) \(path)")
    }
    #expect(matched > 1000, "the draw must meet")
  }

  @Test("DOS-07: the longest path against the worst pattern ends")
  func worst() throws {
    let pattern = try #require(PathPattern("/" + String(repeating: "**a*b", count: 200)))
    #expect(!pattern.matches("/" + String(repeating: "ab", count: 2000) + "c"))
    #expect(PathPattern("/" + String(repeating: "a", count: PathPattern.maximumLength)) == nil)
  }
}

/// Tries every length of every run.
private func naiveMatch(_ pattern: ArraySlice<UInt8>, _ path: ArraySlice<UInt8>) -> Bool {
  guard let first = pattern.first else { return path.isEmpty }
  guard first == UInt8(ascii: "*") else {
    return path.first == first && naiveMatch(pattern.dropFirst(), path.dropFirst())
  }
  let rest = pattern.drop { $0 == UInt8(ascii: "*") }
  let isDeep = pattern.count - rest.count > 1
  for length in 0...path.count {
    if !isDeep, path.prefix(length).contains(UInt8(ascii: "/")) { return false }
    if naiveMatch(rest, path.dropFirst(length)) { return true }
  }
  return false
}
