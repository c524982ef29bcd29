import Addressing
import Policy
import Testing

@testable import exitgate

@Suite("What is made printable")
struct PrintableTests {
  struct Case: Sendable, CustomTestStringConvertible {
    var text: String, shown: String, because: String
    var testDescription: String { because }
  }
  static let cases = [
    Case(text: "api.github.com", shown: "api.github.com", because: "ASCII stays"),
    Case(
      text: "caf\u{e9} \u{4f60}\u{597d}", shown: "caf\u{e9} \u{4f60}\u{597d}",
      because: "letters stay, whatever the script"),
    Case(text: "a\u{1b}[2Jb", shown: "a\\u{1b}[2Jb", because: "ESC would drive the terminal"),
    Case(text: "a\u{9b}2J", shown: "a\\u{9b}2J", because: "C1 would too"),
    Case(
      text: "a\r\nb", shown: "a\\u{d}\\u{a}b",
      because: "a line stays one line, also where CR LF is one character"),
    Case(text: "a\tb\u{7f}", shown: "a\\u{9}b\\u{7f}", because: "tabs and DEL move the cursor"),
    Case(text: "\u{202e}gpj", shown: "\\u{202e}gpj", because: "the writing direction stays"),
    Case(text: "pay\u{200b}pal", shown: "pay\\u{200b}pal", because: "nothing hides"),
    Case(text: "a\u{3164}b", shown: "a\\u{3164}b", because: "a filler hides too"),
    Case(text: "a\u{2028}b", shown: "a\\u{2028}b", because: "a line separator ends a line"),
  ]

  @Test("AUD-02: nothing that drives, breaks or hides reaches the terminal", arguments: cases)
  func printing(_ one: Case) {
    #expect(printable(one.text) == one.shown, "\(one.because)")
    #expect(Text(one.text).plain == one.shown)
    let interpolated: Text = "<\(one.text)>"
    #expect(interpolated.plain == "<\(one.shown)>")
  }

  @Test(
    "AUD-10: a cell is never a formula, and never two",
    arguments: [
      ("=cmd|'/c'!A1", "'=cmd|'/c'!A1"), ("+1", "'+1"), ("-1", "'-1"), ("@SUM(A1)", "'@SUM(A1)"),
      ("\t=1", "\\u{9}=1"),
      ("a,b", "\"a,b\""), ("a\"b", "\"a\"\"b\""), ("a\r\nb", "a\\u{d}\\u{a}b"),
      ("=\"a\",b", "\"'=\"\"a\"\",b\""), ("plain.test", "plain.test"),
      ("", ""),
    ])
  func cells(text: String, shown: String) {
    #expect(csvRow([text]) == shown)
    #expect(csvRow([text, "x"]) == shown + ",x")
  }

  @Test("text of clients is ASCII, as in the log")
  func clients() {
    #expect(Text(ascii: "caf\u{e9}\u{1b}").plain == "caf\\u{e9}\\u{1b}")
  }

  @Test("colour is put around text that is printable already")
  func colour() {
    let text: Text = "\("a\u{1b}b", .bad)"
    #expect(text.coloured == "\u{1b}[31ma\\u{1b}b\u{1b}[0m")
  }
}

@Suite("What is read from the command line")
struct ReadingTests {
  static let sizes: [(String, Int64?)] = [
    ("64KiB", 65_536), ("256MiB", 268_435_456), ("1GiB", 1_073_741_824), ("65536", 65_536), ("", nil),
    ("MiB", nil),
    ("-1", nil), ("+1", nil), ("1MB", nil), ("1.5GiB", nil), ("9999999999999", nil), ("999999999999GiB", nil),
  ]

  @Test("sizes have binary units, and none is too large for a file", arguments: sizes)
  func size(_ text: String, _ bytes: Int64?) {
    #expect((try? Reading.size(text)) == bytes)
  }

  static let times = ["30m", "2h", "7d", "90s", "0s", "2026-11-24T10:00:00Z", "4000000000s"]
  static let noTimes = [
    "", "m", "30", "-30m", "30 m", "30M", "1w", "99999999999d", "999999999999d", "yesterday",
  ]

  @Test("times are spans back from now, or points", arguments: times)
  func since(_ text: String) throws {
    #expect(try Reading.since(text) <= wallClock())
  }

  @Test("nothing else is a time", arguments: noTimes)
  func noTime(_ text: String) {
    #expect((try? Reading.since(text)) == nil)
  }

  @Test("host patterns are those of the policy")
  func patterns() throws {
    let name = try Hostname("example.com")
    #expect(try Reading.hostPattern("Example.com") == .exact(name))
    #expect(try Reading.hostPattern("*.example.com") == .subdomains(of: name))
    #expect(try Reading.hostPattern("**.example.com") == .domain(name))
    #expect(try Reading.hostPattern("10.0.0.0/8") == .prefix(try #require(IPPrefix("10.0.0.0/8"))))
    for text in ["", "*", "*.", "e*.com", "10.0.0.1/8", "127.1"] {
      #expect((try? Reading.hostPattern(text)) == nil, "\(text)")
    }
  }

  @Test("a misspelt word finds the one that was meant, and only that")
  func nearestWord() {
    let names = ["serve", "check", "explain", "log", "status", "reload"]
    #expect(nearest(to: "explian", among: names) == "explain")
    #expect(nearest(to: "chek", among: names) == "check")
    #expect(nearest(to: "sattus", among: names) == "status")
    #expect(nearest(to: "serve", among: names) == nil)
    #expect(nearest(to: "x", among: names) == nil)
    #expect(nearest(to: "", among: names) == nil)
    #expect(nearest(to: String(repeating: "x", count: 100_000), among: names) == nil)
  }

  @Test("a variable's name follows from the option's")
  func variables() {
    #expect(Twins.variable(for: "audit-log") == "EXITGATE_AUDIT_LOG")
    let used = Twins.twins(of: Serve.self).map(\.variable)
    for name in [
      "POLICY", "PROXY_LISTEN", "DNS_UPSTREAM", "AUDIT_LOG", "CONTROL", "AUDIT_ROTATE_AT", "LOOPS",
    ] {
      #expect(used.contains("EXITGATE_" + name))
    }
  }

  @Test("repeated options take a list, and what stands behind -- is no option")
  func lists() throws {
    let environment = ["EXITGATE_PROXY_LISTEN": "127.0.0.1:1,unix:/x", "EXITGATE_POLICY": "p"]
    let serve = try Twins.complete(["serve", "--policy=q"], of: Exitgate.self, environment: environment)
    #expect(
      serve.arguments == ["serve", "--proxy-listen=127.0.0.1:1", "--proxy-listen=unix:/x", "--policy=q"])
    let explain = try Twins.complete(
      ["explain", "--", "--policy"], of: Exitgate.self, environment: environment)
    #expect(explain.arguments.contains("--policy=p"))
  }
}

@Suite("What is shown")
struct ShownTests {
  @Test("sizes and spans are short")
  func units() {
    #expect(
      [0, 1023, 1024, 1536, 1 << 30, .max].map { size($0) } == [
        "0 B", "1023 B", "1.0 KiB", "1.5 KiB", "1.0 GiB", "16384.0 PiB",
      ])
    #expect(
      [0, 7, 725, 93_784, 266_400].map { span(.seconds($0)) } == ["0s", "7s", "12m 5s", "1d 2h", "3d 2h"])
  }

  @Test("columns are as wide as their widest cell, and lines end where their text does")
  func columns() {
    let lines = table([["a", "bb", ""], ["aaa", "b", "c"], ["", "", ""]], indent: " ").map(\.plain)
    #expect(lines == [" a    bb", " aaa  b   c", " "])
  }

  @Test("defaults are root's own, or under the XDG directories; relative ones do not count")
  func paths() {
    let root = Paths(user: 0, environment: ["XDG_STATE_HOME": "/x"])
    #expect(root.auditLog == "/var/log/exitgate/audit.jsonl" && root.control == "/run/exitgate/control.sock")
    let user = Paths(user: 1000, environment: ["HOME": "/home/u", "XDG_RUNTIME_DIR": "/run/user/1000"])
    #expect(user.auditLog == "/home/u/.local/state/exitgate/audit.jsonl")
    #expect(user.control == "/run/user/1000/exitgate/control.sock")
    let relative = Paths(user: 1000, environment: ["HOME": "/home/u", "XDG_RUNTIME_DIR": "run"])
    #expect(relative.control == "/home/u/.local/state/exitgate/control.sock")
  }
}
