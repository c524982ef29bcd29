import Foundation
import Testing

@Suite("log", .timeLimit(.minutes(2)))
struct LogCommandTests {
  @Test("what was denied is listed with the rule that would allow it")
  func blocked() throws {
    let gate = try RunningServe()
    for host in ["evil.example", "worse.example"] {
      _ = try gate.send("CONNECT \(host):443 HTTP/1.1\r\n\r\n")
    }
    _ = try gate.send("CONNECT x.pastebin.com:443 HTTP/1.1\r\n\r\n")
    let rows = try gate.askLog("blocked", "--json").out.split(separator: "\n").map { try object($0) }
    #expect(rows.count == 3)
    let evil = try #require(rows.first { $0["host"] as? String == "evil.example" })
    #expect(evil["reason"] as? String == "no-rule")
    #expect((evil["suggested_rule"] as? String)?.contains("evil.example") == true)
    let paste = try #require(rows.first { $0["host"] as? String == "x.pastebin.com" })
    #expect(paste["rule"] as? String == "paste")
    #expect(paste["suggested_rule"] is NSNull, "a deny rule wins over any other")
    let page = try gate.askLog("blocked", "--destination", "evil.example")
    #expect(page.out.contains("https://evil.example:443") && !page.out.contains("worse"))
  }

  @Test("the tail is narrowed by every filter, and shows records as they stand with --json")
  func tail() throws {
    let gate = try RunningServe()
    _ = try gate.send("CONNECT evil.example:443 HTTP/1.1\r\n\r\n")
    _ = try gate.send("CONNECT 169.254.169.254:80 HTTP/1.1\r\n\r\n")
    #expect(try lines(gate.askLog("tail", "--reason", "no-rule")) == 1)
    #expect(try lines(gate.askLog("tail", "--destination", "169.254.0.0/16")) == 1)
    #expect(try lines(gate.askLog("tail", "--agent", "nobody")) == 0)
    #expect(try lines(gate.askLog("tail", "--layer", "connect")) == 2)
    #expect(try lines(gate.askLog("tail", "--since", "1h", "--layer", "connect")) == 2)
    #expect(try lines(gate.askLog("tail", "--since", "2099-01-01T00:00:00Z")) == 0)
    #expect(try lines(gate.askLog("tail", "-n", "1")) == 1)
    let raw = try gate.askLog("tail", "--json", "--reason", "no-rule").out
    #expect(try gate.scratch.text("audit.jsonl").contains(raw))
  }

  @Test("--follow goes on with what is written later")
  func follow() throws {
    let gate = try RunningServe()
    let process = try Binary.process(
      ["log", "tail", "--follow", "--json", "--reason", "no-rule", "--audit-log", gate.log], [:],
      in: gate.scratch)
    let pipe = Pipe()
    process.standardOutput = pipe
    try process.run()
    _ = try gate.send("CONNECT later.example:443 HTTP/1.1\r\n\r\n")
    var line = Data()
    while !line.contains(UInt8(ascii: "\n")) {
      let piece = pipe.fileHandleForReading.availableData
      try #require(!piece.isEmpty)
      line += piece
    }
    #expect(String(decoding: line, as: UTF8.self).contains("later.example"))
    // A child of a test's thread inherits its mask, which holds SIGTERM back.
    kill(process.processIdentifier, SIGKILL)
    process.waitUntilExit()
  }

  @Test("stats add up, and the numbers are those of the list")
  func stats() throws {
    let gate = try RunningServe()
    for _ in 0..<3 { _ = try gate.send("CONNECT evil.example:443 HTTP/1.1\r\n\r\n") }
    gate.signal(SIGTERM)
    #expect(gate.waitForEnd() == 0)
    let stats = try object(try gate.askLog("stats", "--json").out)
    #expect((stats["totals"] as? [String: Any])?["denied"] as? Int == 3)
    #expect((stats["reasons"] as? [String: Any])?["no-rule"] as? Int == 3)
    #expect(try gate.askLog("stats").out.contains("3 denied"))
  }

  @Test("verify passes, and after one byte was changed names the record")
  func verify() throws {
    let gate = try RunningServe()
    for number in 0..<5 { _ = try gate.send("CONNECT n\(number).example:443 HTTP/1.1\r\n\r\n") }
    gate.signal(SIGTERM)
    #expect(gate.waitForEnd() == 0)
    let good = try gate.askLog("verify")
    #expect(good.status == 0)
    #expect(good.out.contains("intact"))
    let text = try gate.scratch.text("audit.jsonl")
    let shipped = try gate.askLog("verify", "--checkpoint", gate.log + ".head", "--json")
    let told = try object(shipped.out)["shipped"] as? [String: Any]
    #expect(shipped.status == 0 && told?["matched"] as? Int == 1 && told?["checkpoints"] as? Int == 1)
    #expect(try gate.askLog("verify", "--checkpoint", gate.policy).status == 78)
    let changed = try #require(text.split(separator: "\n").first { $0.contains("n3.example") })
    let sequence = try #require((try object(changed))["seq"] as? Int)
    try gate.scratch.write("audit.jsonl", text.replacing("n3.example", with: "n4.example"))
    chmod(gate.log, 0o600)
    let bad = try gate.askLog("verify")
    #expect(bad.status == 1)
    #expect(bad.out.split(separator: "\n").first?.contains("record \(sequence)") == true, "\(bad.out)")
    let json = try object(try gate.askLog("verify", "--json").out)
    #expect(json["intact"] as? Bool == false)
  }

  @Test("AUD-02: hostile hosts reach neither the log nor the screen as they came")
  func hostileHosts() throws {
    let gate = try RunningServe()
    _ = try gate.send("CONNECT \u{1b}]52;c;ZXZpbA==\u{7}.evil.example:443 HTTP/1.1\r\n\r\n")
    _ = try gate.send("CONNECT \u{9b}2J\u{202e}.evil.example:443 HTTP/1.1\r\n\r\n")
    _ = try gate.send("CONNECT evil.example:443 HTTP/1.1\r\n\r\n")
    for arguments in [
      ["tail"], ["tail", "--json"], ["blocked"], ["blocked", "--json"], ["stats"], ["stats", "--json"],
      ["suggest"], ["suggest", "--json"], ["replay", "--policy", gate.policy],
      ["replay", "--policy", gate.policy, "--json"],
      ["stats", "--policy", gate.policy], ["stats", "--policy", gate.policy, "--json"],
    ] {
      let run = try Binary.run(["log"] + arguments + ["--audit-log", gate.log])
      #expect(run.status == 0)
      #expect(!run.out.isEmpty)
      #expect(
        run.out.utf8.allSatisfy { $0 == UInt8(ascii: "\n") || (0x20..<0x7f).contains($0) }, "\(arguments)")
    }
  }

  private func lines(_ run: Binary.Run) throws -> Int {
    #expect(run.status == 0, "\(run.err)")
    return run.out.split(separator: "\n").count
  }
}
