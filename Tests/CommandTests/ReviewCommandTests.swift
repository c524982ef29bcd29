import Foundation
import Testing

@Suite("log blocked, suggest, replay and stats", .timeLimit(.minutes(3)))
struct ReviewCommandTests {
  /// A log as a gate writes it, of decisions that nobody had to dial for.
  private static func log(_ decisions: [(host: String, port: Int, outcome: String)], in scratch: Scratch)
    throws -> String
  {
    let lines = decisions.enumerated().map { number, one in
      let field = one.host.first?.isNumber == true ? "ip" : "hostname"
      return """
        {"seq":\(number + 1),"prev":"","class_uid":4001,"time":\(1_795_600_000_000 + number),"dst_endpoint":{"\(field)":"\(one.host)",\
        "port":\(one.port)},"unmapped":{"event":"decision","agent":"default","protocol":"https","layer":"connect",\
        \(one.outcome),"generation":1},"hash":""}
        """
    }
    return try scratch.write("written.jsonl", lines.joined(separator: "\n") + "\n")
  }

  private static let passed = #""reason":"no-rule","verdict":"allow","would_deny":true"#
  private static let allowed = #""reason":"rule","rule":"a","verdict":"allow""#
  private static let refused = #""reason":"private-address","verdict":"deny""#

  @Test("blocked is sorted, paged and filtered, and its groups name the lists that hold a host already")
  func blocked() throws {
    let gate = try RunningServe()
    for host in ["b.evil.test", "a.evil.test", "b.evil.test", "registry.npmjs.org"] {
      _ = try gate.send("CONNECT \(host):443 HTTP/1.1\r\n\r\n")
    }
    gate.signal(SIGTERM)
    #expect(gate.waitForEnd() == 0)
    let rows = try gate.askLog("blocked", "--json").out.split(separator: "\n").map { try object($0) }
    #expect(rows.map { $0["host"] as? String } == ["b.evil.test", "a.evil.test", "registry.npmjs.org"])
    #expect(rows.map { $0["domain"] as? String } == ["evil.test", "evil.test", "npmjs.org"])
    #expect(rows[2]["lists"] as? [String] == ["builtin:npm"] && rows[0]["lists"] as? [String] == [])
    #expect(rows[0]["count"] as? Int == 2 && rows[0]["explanation"] as? String == "No rule allows it")
    let page = try gate.askLog("blocked", "--sort", "destination", "--limit", "1", "--page", "2")
    #expect(page.out.contains("b.evil.test") && !page.out.contains("a.evil.test"))
    #expect(page.err.contains("page 2 of 3, 3 groups in all"))
    let text = try gate.askLog("blocked").out
    #expect(text.contains("evil.test: 2 groups, 3 denials\n") && text.contains("  add builtin:npm\n"))
    #expect(try gate.askLog("blocked", "--layer", "dns").err.contains("nothing was blocked"))
    #expect(try gate.askLog("blocked", "--page", "2").status == 64)
  }

  @Test("AUD-10: the table for spreadsheets holds no formula, and as many cells in each row")
  func table() throws {
    let gate = try RunningServe()
    _ = try gate.send("CONNECT evil.test:443 HTTP/1.1\r\n\r\n")
    gate.signal(SIGTERM)
    #expect(gate.waitForEnd() == 0)
    let line = try #require(
      try gate.scratch.text("audit.jsonl").split(separator: "\n").first { $0.contains("evil.test") })
    let forged = line.replacing(
      #""reason":"no-rule""#, with: #""reason":"no-rule","rule":"=cmd|'/c calc'!A1,\"x\r\n""#)
    let handle = try #require(FileHandle(forWritingAtPath: gate.log))
    handle.seekToEndOfFile()
    handle.write(Data((forged + "\n").utf8))
    let out = try gate.askLog("blocked", "--csv").out
    let rows = out.components(separatedBy: "\r\n")
    #expect(rows.count == 3 && rows[0].hasPrefix("domain,host,port,protocol,agent,count") && rows[2].isEmpty)
    #expect(rows[1].contains(#""'=cmd|'/c calc'!A1,""x\u{d}\u{a}""#), "\(rows[1])")
    #expect(out.utf8.allSatisfy { $0 == 0x0d || $0 == 0x0a || (0x20..<0x7f).contains($0) })
  }

  @Test("--follow shows a group when it is new and when it grows")
  func follow() throws {
    let gate = try RunningServe()
    let process = try Binary.process(
      ["log", "blocked", "--follow", "--json", "--audit-log", gate.log], [:], in: gate.scratch)
    let pipe = Pipe()
    process.standardOutput = pipe
    try process.run()
    _ = try gate.send("CONNECT first.test:443 HTTP/1.1\r\n\r\n")
    let first = try object(line(from: pipe))
    #expect(first["host"] as? String == "first.test" && first["count"] as? Int == 1)
    _ = try gate.send("CONNECT second.test:443 HTTP/1.1\r\n\r\n")
    #expect(try object(line(from: pipe))["host"] as? String == "second.test")
    // A child of a test's thread inherits its mask, which holds SIGTERM back.
    kill(process.processIdentifier, SIGKILL)
    process.waitUntilExit()
  }

  private func line(from pipe: Pipe) throws -> String {
    var line = Data()
    while !line.contains(UInt8(ascii: "\n")) {
      let piece = pipe.fileHandleForReading.availableData
      try #require(!piece.isEmpty)
      line += piece
    }
    return String(decoding: line, as: UTF8.self)
  }

  @Test("a suggestion passes check, keeps what it is added to, and replay says what it would change")
  func suggest() throws {
    let scratch = try Scratch()
    let log = try Self.log(
      [("one.test", 443, Self.passed), ("two.test", 8443, Self.passed), ("10.0.0.1", 443, Self.refused)],
      in: scratch)
    let fresh = try Binary.run("log", "suggest", "--audit-log", log)
    #expect(fresh.status == 0 && fresh.err.contains("2 rules and 0 lists suggested"), "\(fresh)")
    let path = try scratch.write("fresh.yaml", fresh.out)
    #expect(try Binary.run("check", path).status == 0, "\(fresh.out)")
    #expect(!fresh.out.contains("10.0.0.1"), "the floor is not suggested")
    let base = try scratch.write("base.yaml", samplePolicy)
    let merged = try Binary.run("log", "suggest", "--merge", base, "--audit-log", log)
    let lines = merged.out.split(separator: "\n")
    #expect(samplePolicy.split(separator: "\n").allSatisfy(lines.contains), "\(merged)")
    #expect(try Binary.run("check", scratch.write("merged.yaml", merged.out)).out.contains("ok, 6 rules"))
    let report = try Binary.run("log", "replay", "--policy", path, "--json", "--audit-log", log)
    #expect(report.status == 0, "\(report)")
    let changes = try #require((try object(report.out))["changes"] as? [[String: Any]])
    #expect(
      Set(changes.map { $0["destination"] as? String }) == ["https://one.test:443", "https://two.test:8443"])
    let json = try object(try Binary.run("log", "suggest", "--json", "--audit-log", log).out)
    #expect((json["policy"] as? String)?.hasPrefix("# Suggested by") == true)
  }

  @Test("a policy in which rules stand in brackets is not added to, and nothing is printed")
  func brackets() throws {
    let scratch = try Scratch(), log = try Self.log([("one.test", 443, Self.passed)], in: scratch)
    let base = try scratch.write("base.yaml", "version: 1\nrules: [{ id: a, action: allow, to: [a.test] }]\n")
    let run = try Binary.run("log", "suggest", "--merge", base, "--audit-log", log)
    #expect(
      run.status == 65 && run.out.isEmpty
        && run.err.contains("base.yaml:2:8: 'rules' is written in brackets"), "\(run)")
  }

  @Test("replay ends with 1 when something that was allowed would be denied")
  func replay() throws {
    let scratch = try Scratch(), log = try Self.log([("one.test", 443, Self.allowed)], in: scratch)
    let ask = { (name: String, rules: String) in
      let path = try scratch.write(name, "version: 1\nrules: [\(rules)]\n")
      return try Binary.run("log", "replay", "--audit-log", log, "--policy", path)
    }
    let lost = try ask("none.yaml", "")
    #expect(lost.status == 1 && lost.out.contains("allowed, and would be denied: 1 decision\n"), "\(lost)")
    #expect(try ask("same.yaml", "{ id: b, action: allow, to: [one.test] }").status == 0)
    #expect(
      try Binary.run("log", "replay", "--audit-log", log, "--policy", scratch.file("gone.yaml")).status == 65)
  }

  @Test("stats draw a bar for each hour, and with a policy name the rules that nothing needed")
  func stats() throws {
    let gate = try RunningServe()
    _ = try gate.send("CONNECT evil.test:443 HTTP/1.1\r\n\r\n")
    gate.signal(SIGTERM)
    #expect(gate.waitForEnd() == 0)
    let page = try gate.askLog("stats", "--policy", gate.policy).out
    #expect(
      page.contains("by hour") && page.contains("########") && page.contains("rules that nothing has needed"))
    let json = try object(try gate.askLog("stats", "--policy", gate.policy, "--json").out)
    let unused = try #require(json["unused_rules"] as? [[String: Any]])
    #expect(unused.map { $0["rule"] as? String } == ["github", "db", "files"])
    #expect((json["hours"] as? [[String: Any]])?.first?["denied"] as? Int == 1)
  }
}
