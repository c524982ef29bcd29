import Foundation
import Testing

@Suite("check", .timeLimit(.minutes(2)))
struct CheckTests {
  @Test("a right policy is said to be right, on standard output")
  func right() throws {
    let scratch = try Scratch()
    let run = try Binary.run("check", try scratch.write("policy.yaml", samplePolicy))
    #expect(run.status == 0)
    #expect(run.out.contains("ok, 4 rules"))
  }

  @Test("what a policy says of a sandbox is counted, and with --json told with its places")
  func sandbox() throws {
    let scratch = try Scratch()
    let text =
      samplePolicy
      + "files:\n  read: [~/.gitconfig]\n  hide: [~/.gitconfig]\nprocess: { env: [TOKEN], memory: 1GiB, time: 2h }\n"
    let policy = try scratch.write("policy.yaml", text)
    let run = try Binary.run("check", policy)
    #expect(run.status == 0 && run.out.contains(", sandbox: 2 paths, 1 variable, 2 limits"), "\(run)")
    #expect(run.err.contains("'~/.gitconfig' is both shown and hidden, and is hidden"), "\(run.err)")
    let json = try object(Substring(try Binary.run("check", "--json", policy).out))
    let said = try #require(json["sandbox"] as? [String: Any])
    let memory = try #require(said["memory"] as? [String: Any])
    #expect(memory["value"] as? Int == 1 << 30)
    #expect((memory["source"] as? String)?.hasPrefix("\(policy):") == true)
    #expect(said["max-processes"] is NSNull)
  }

  @Test("every problem is shown at once with its place, and the other files still looked at")
  func wrong() throws {
    let scratch = try Scratch()
    let bad = try scratch.write(
      "bad.yaml", "version: 1\nmood: enforce\nrules:\n  - { id: r, action: alow, to: [x.example] }\n")
    let good = try scratch.write("good.yaml", samplePolicy)
    let run = try Binary.run("check", bad, good)
    #expect(run.status == 65)
    #expect(run.err.contains("bad.yaml:2:") && run.err.contains("bad.yaml:4:"), "\(run.err)")
    #expect(run.out.contains("good.yaml: ok"))
  }

  @Test("with --json each file is one object")
  func json() throws {
    let scratch = try Scratch()
    let bad = try scratch.write("bad.yaml", "version: 2\n"),
      good = try scratch.write("good.yaml", samplePolicy)
    let run = try Binary.run("check", "--json", bad, good)
    let objects = try run.out.split(separator: "\n").map { try object($0) }
    #expect(objects.map { $0["ok"] as? Bool } == [false, true])
    let problem = try #require((objects[0]["diagnostics"] as? [[String: Any]])?.first)
    #expect(problem["line"] as? Int == 1)
    #expect(problem["remedy"] is String)
  }

  @Test("--expect holds a policy to its verdicts, and says which one is another, with the rule behind it")
  func expectations() throws {
    let scratch = try Scratch()
    let policy = try scratch.write("policy.yaml", samplePolicy)
    let good = try scratch.write(
      "good.yaml",
      """
      version: 1
      expect:
        - { to: "api.github.com:443", answer: allow }
        - { to: "files.example:80", protocol: http, path: /public/x, answer: allow }
        - { to: "db.corp.example:5432", protocol: tcp, answer: ask }
      """)
    let held = try Binary.run("check", "--expect", good, policy)
    #expect(held.status == 0 && held.out.contains("3 verdicts as expected"), "\(held)")
    let bad = try scratch.write(
      "bad.yaml",
      "version: 1\nexpect:\n  - { to: \"a.pastebin.com:443\", answer: allow }\n  - { to: \"x.example:443\", answer: deny }\n"
    )
    let failed = try Binary.run("check", "--expect", good, "--expect", bad, policy)
    #expect(failed.status == 1)
    #expect(
      failed.out.contains(
        "bad.yaml:3: https://a.pastebin.com:443: allow expected, deny found: deny-rule (paste, \(policy):6). A rule denies it."
      ),
      "\(failed.out)")
    #expect(failed.out.contains("1 of 5 verdicts not as expected"))
    let json = try object(try Binary.run("check", "--json", "--expect", bad, policy).out)
    let failure = try #require((json["failures"] as? [[String: Any]])?.first)
    #expect(failure["expected"] as? String == "allow" && failure["rule"] as? String == "paste")
    let unread = try Binary.run("check", "--expect", scratch.file("none.yaml"), policy)
    #expect(unread.status == 65 && unread.err.contains("there is no file"), "\(unread)")
  }

  @Test("CTL-16: a policy that does not enforce is said not to")
  func auditMode() throws {
    let scratch = try Scratch()
    let run = try Binary.run(
      "check", try scratch.write("policy.yaml", "version: 1\nmode: audit\nrules: []\n"))
    #expect(run.status == 0)
    #expect(run.out.contains("NOT ENFORCING"))
    #expect(run.err.contains("Give it an end, such as 'audit-until"))
  }

  @Test("CTL-16: watching has an end where the policy says so, and one that is over is said to be")
  func auditEnd() throws {
    let scratch = try Scratch()
    let text = "version: 1\nmode: audit\naudit-until: 2999-01-01T00:00:00Z\nrules: []\n"
    let policy = try scratch.write("policy.yaml", text)
    let limited = try Binary.run("check", policy)
    #expect(limited.out.contains("until 2999-01-01T00:00:00") && !limited.err.contains("Give it an end"))
    #expect(try object(Binary.run("check", "--json", policy).out)["audit_until"] as? String != nil)
    try scratch.write("policy.yaml", text.replacing("2999", with: "2020"))
    let over = try Binary.run("check", policy)
    #expect(over.status == 0 && !over.out.contains("NOT ENFORCING"))
    #expect(over.err.contains("policy.yaml:3:14: the time of watching ended at 2020-01-01"))
    #expect(over.err.contains("so nothing gets out"))
    #expect(try Binary.run("explain", "--policy", policy, "a.example:443").status == 1)
    try scratch.write("policy.yaml", text.replacing("audit\n", with: "enforce\n"))
    #expect(try Binary.run("check", policy).err.contains("'audit-until' has no effect"))
  }
}

@Suite("explain", .timeLimit(.minutes(2)))
struct ExplainTests {
  static let strangers: [(name: String, says: String?)] = [
    ("none", "'none' is no agent of this policy. Write ci, review or default."),
    ("rewiev", "'rewiev' is no agent of this policy. Did you mean 'review'?"),
    ("ci", nil), ("default", nil),
  ]

  @Test("an agent that the policy does not declare has no verdict", arguments: strangers)
  func stranger(_ name: String, _ says: String?) throws {
    let scratch = try Scratch()
    let path = try scratch.write(
      "policy.yaml",
      """
      version: 1
      agents: { review: { listen: 127.0.0.1:3130 }, ci: { listen: 127.0.0.1:3129 } }
      rules:
        - { id: r, action: allow, to: [a.example] }

      """)
    let run = try Binary.run("explain", "--agent", name, "--policy", path, "a.example:443")
    #expect(run.status == (says == nil ? 0 : 64))
    if let says { #expect(run.err.contains(says), "\(run.err)") }
    #expect(run.out.isEmpty == (says != nil))
  }

  struct Case: Sendable, CustomTestStringConvertible {
    var question: [String], status: Int32, says: [String], because: String
    var testDescription: String { "\(question.joined(separator: " ")): \(because)" }
  }
  static let cases = [
    Case(
      question: ["api.github.com:443"], status: 0, says: ["allow: rule github", "wins"],
      because: "a rule allows it"),
    Case(
      question: ["API.GitHub.com.:443"], status: 0, says: ["https://api.github.com:443"],
      because: "the host is shown as it is judged"),
    Case(
      question: ["api.github.com:22"], status: 1, says: ["no-rule", "not: ports", "'port'"],
      because: "another port"),
    Case(
      question: ["evil.example:443"], status: 1, says: ["deny: no-rule", "would allow it"],
      because: "nothing matches"),
    Case(question: ["x.pastebin.com:443"], status: 1, says: ["deny-rule paste"], because: "a rule denies it"),
    Case(
      question: ["db.corp.example:5432"], status: 2, says: ["tcp://db.corp.example:5432", "ask-rule db"],
      because: "CONNECT finds the tcp rule"),
    Case(
      question: ["db.corp.example:5432", "--protocol", "https"], status: 1, says: ["'protocol'"],
      because: "https was asked for"),
    Case(
      question: ["http://files.example/public/a"], status: 0, says: ["GET /public/a"],
      because: "a URL is host, port, protocol and path"),
    Case(
      question: ["files.example:80", "--path", "/private"], status: 1, says: ["not: http"],
      because: "another path"),
    Case(
      question: ["files.example:80", "--method", "POST", "--path", "/public/a"], status: 1, says: ["POST"],
      because: "another method"),
    Case(
      question: ["api.github.com:443"], status: 0,
      says: [
        "dns", "A, AAAA, CNAME: asked upstream (rule github", "SVCB, HTTPS: no data", "others: no data",
      ],
      because: "the DNS listener's answer to a name"),
    Case(
      question: ["evil.example:443"], status: 1, says: ["NXDOMAIN, EDE 18 Prohibited: no-rule"],
      because: "a denied name does not exist"),
    Case(
      question: ["x.pastebin.com:443"], status: 1, says: ["NXDOMAIN, EDE 15 Blocked: deny-rule paste"],
      because: "one that a rule denies neither"),
    Case(
      question: ["--type", "a", "api.github.com"], status: 0,
      says: ["dns://api.github.com:53", "A: asked upstream (rule github", "allow: rule github"],
      because: "a question needs no port"),
    Case(
      question: ["--type", "TXT", "api.github.com"], status: 1,
      says: ["TXT: no data", "deny: record-type", "protocol: dns, types: [TXT]"],
      because: "another type takes a dns rule"),
    Case(
      question: ["--type", "AXFR", "evil.example"], status: 1, says: ["AXFR: REFUSED, EDE 18"],
      because: "whatever the name"),
    Case(
      question: ["--type", "https", "evil.example"], status: 1,
      says: ["HTTPS: NXDOMAIN", "no-rule", #"to: ["evil.example"] }"#],
      because: "a denied name for every type"),
    Case(
      question: ["169.254.169.254:80"], status: 1, says: ["special-address", "metadata"],
      because: "the floor, for a literal"),
    Case(
      question: ["[::ffff:11.11.0.10]:443"], status: 1,
      says: ["special-address", "IPv4 inside IPv6", "11.11.0.10 inside IPv6"],
      because: "a public IPv4 address in disguise"),
    Case(
      question: ["[::ffff:169.254.169.254]:80"], status: 1, says: ["special-address"],
      because: "the floor, unwrapped"),
    Case(
      question: ["127.0.0.1:3128"], status: 1, says: ["self-address"],
      because: "what the gate would listen on"),
    Case(
      question: ["127.1:443"], status: 1, says: ["malformed-request", "400"],
      because: "an odd spelling is neither name nor address"),
    Case(question: ["2001:db8::1:443"], status: 1, says: ["brackets"], because: "IPv6 goes into brackets"),
    Case(question: ["b\u{fc}cher.example:443"], status: 1, says: ["A-labels"], because: "clients send ASCII"),
  ]

  @Test("says what the gate would do, and why", arguments: cases)
  func answers(_ question: Case) throws {
    let scratch = try Scratch()
    let policy = try scratch.write("policy.yaml", samplePolicy)
    let run = try Binary.run(
      ["explain", "--policy", policy, "--dns-upstream", "127.0.0.1:9"] + question.question)
    #expect(run.status == question.status, "\(run.out)\(run.err)")
    for words in question.says { #expect(run.out.contains(words), "\(run.out)") }
  }

  @Test("of a name it says which addresses the floor would take away, and resolves nothing")
  func floor() throws {
    let scratch = try Scratch()
    let policy = try scratch.write("policy.yaml", samplePolicy)
    let strict = try object(try Binary.run("explain", "--json", "--policy", policy, "api.github.com:443").out)
    #expect(
      strict["addresses"] as? [String: String] == [
        "global": "allow", "private": "private-address", "loopback": "special-address",
        "metadata": "special-address",
      ])
    let lenient = try object(
      try Binary.run("explain", "--json", "--policy", policy, "db.corp.example:5432").out)
    #expect((lenient["addresses"] as? [String: String])?["private"] == "allow")
  }

  @Test(
    "a type goes with a name alone",
    arguments: [
      ["--type", "TXT", "1.2.3.4"], ["--type", "TXT", "https://a.example/"], ["--type", "X", "a.example"],
      ["--type", "TXT", "--protocol", "tcp", "a.example:53"],
      ["--type", "TXT", "--method", "GET", "a.example"],
    ])
  func types(_ question: [String]) throws {
    let scratch = try Scratch()
    let policy = try scratch.write("policy.yaml", samplePolicy)
    #expect(try Binary.run(["explain", "--policy", policy] + question).status == 64)
  }

  @Test("the answer of the DNS listener stands in the JSON too")
  func dnsJSON() throws {
    let scratch = try Scratch()
    let policy = try scratch.write("policy.yaml", samplePolicy)
    let json = try object(try Binary.run("explain", "--json", "--policy", policy, "evil.example:443").out)
    let entry = try #require((json["dns"] as? [[String: Any]])?.first)
    #expect(entry["answer"] as? String == "nxdomain" && entry["ede"] as? Int == 18)
    #expect(entry["reason"] as? String == "no-rule" && (entry["types"] as? [String]) == [])
    let address = try object(try Binary.run("explain", "--json", "--policy", policy, "11.0.0.1:443").out)
    #expect(address["dns"] is NSNull)
  }

  @Test("CTL-16: in audit mode it says what passes and that it is not enforced")
  func auditMode() throws {
    let scratch = try Scratch()
    let policy = try scratch.write("policy.yaml", "version: 1\nmode: audit\nrules: []\n")
    let run = try Binary.run("explain", "--policy", policy, "evil.example:443")
    #expect(run.status == 0)
    #expect(run.out.contains("NOT ENFORCING"))
    let json = try object(try Binary.run("explain", "--json", "--policy", policy, "evil.example:443").out)
    #expect(json["verdict"] as? String == "allow")
    #expect(json["answer"] as? String == "deny")
    #expect(json["would_deny"] as? Bool == true)
    #expect(
      try Binary.run("explain", "--policy", policy, "169.254.169.254:443").status == 1, "the floor holds")
  }

  @Test("the rule it suggests loads, and allows exactly what was asked")
  func suggestion() throws {
    let scratch = try Scratch()
    let policy = try scratch.write("policy.yaml", samplePolicy)
    let denied = try object(try Binary.run("explain", "--json", "--policy", policy, "evil.example:8443").out)
    let rule = try #require(denied["suggested_rule"] as? String)
    let wider = try scratch.write(
      "wider.yaml", samplePolicy.trimmingCharacters(in: .newlines) + "\n  - \(rule)\n")
    #expect(try Binary.run("explain", "--policy", wider, "evil.example:8443").status == 0)
    #expect(try Binary.run("explain", "--policy", wider, "evil.example:443").status == 1)
    #expect(try Binary.run("explain", "--policy", wider, "a.evil.example:8443").status == 1)
  }
}

@Suite("allowlists", .timeLimit(.minutes(2)))
struct AllowlistsTests {
  @Test("every list it names can be printed, and what is printed is a policy")
  func lists() throws {
    let listed = try Binary.run("allowlists", "--json").out
    let entries = try #require(
      try JSONSerialization.jsonObject(with: Data(listed.utf8)) as? [[String: String]])
    #expect(entries.count > 10)
    let scratch = try Scratch()
    for name in entries.compactMap({ $0["name"] }) {
      let printed = try Binary.run("allowlists", name)
      #expect(printed.status == 0, "\(name): \(printed.err)")
      let file = try scratch.write("list.yaml", printed.out)
      let checked = try Binary.run("check", file)
      #expect(checked.status == 0, "\(name): \(checked.err)")
    }
  }

  @Test("a built-in list goes by its name alone")
  func shortName() throws {
    #expect(try Binary.run("allowlists", "npm").out == Binary.run("allowlists", "builtin:npm").out)
  }
}

/// A line of JSON as a dictionary.
func object(_ text: some StringProtocol) throws -> [String: Any] {
  try #require(try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
}
