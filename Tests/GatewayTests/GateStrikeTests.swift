import Approvals
import Foundation
import Glibc
import Policy
import PolicyFile
import Testing

@testable import Gateway

extension GateTests.Asking {
  private static func always(_ rig: GateRig, _ host: String) throws -> (client: ClientSocket, id: String) {
    let client = try rig.sent("CONNECT \(host):$PORT HTTP/1.1\r\n\r\n")
    let question = try rig.question(about: host)
    try rig.answer(question, .allow(.always))
    #expect(try client.read(until: "\r\n\r\n").hasPrefix("HTTP/1.1 200"))
    return (client, "approved-\(question.id)")
  }

  /// Whether it ended, and did not merely stay silent.
  private static func isCut(_ client: ClientSocket) -> Bool {
    do { return try client.read().isEmpty } catch { return "\(error)" != "nothing came" }
  }

  @Test(
    "CTL-15: what is taken back while its file is busy is cut too where a reload had put it in force again")
  func struckAfterReload() throws {
    let rig = try GateRig(Self.policy(), origin: OriginStub.echoes)
    defer { rig.stop() }
    let channel = rig.gate.approvals.attach(.control)
    defer { extendLifetime(channel) }
    let (first, id) = try Self.always(rig, "raw.test")
    var client = first
    // It waits for its file as long as it does: on a slow machine it is taken back more than once.
    for _ in 0..<20 {
      let lock = open(rig.directory + "/log/approvals.yaml.lock", O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
      try #require(lock >= 0 && flock(lock, LOCK_EX) == 0)
      let taken = GateTests.Order.Doing {
        try rig.revoke(id)
        return "done"
      }
      #expect(Self.isCut(client), "it is cut, whatever the file says")
      try rig.reload(Self.policy())
      #expect(rig.gate.approvals.standing.rules.map(\.id.text) == [id], "the file says it still")
      client = try rig.tunnel(to: "raw.test")
      #expect(GateTests.Tunnels.echoes(client, "by what the file says"))
      close(lock)
      if taken.end() == "done" { break }
    }
    #expect(rig.gate.approvals.standing.rules.isEmpty)
    #expect(Self.isCut(client), "what passed meanwhile is cut")
    let rest = try #require(
      try rig.gate.configuration.loader.overlay(path: rig.directory + "/log/approvals.yaml"))
    #expect(rest.rules.rules.isEmpty)
  }

  @Test("What another process took out of the file is cut when an answer for good reads it anew")
  func goneWithAnAnswer() throws {
    let rig = try GateRig(Self.policy(Self.ask("kept", "kept.test")), origin: OriginStub.echoes)
    defer { rig.stop() }
    let channel = rig.gate.approvals.attach(.control)
    defer { extendLifetime(channel) }
    let (gone, id) = try Self.always(rig, "raw.test")
    let path = rig.directory + "/log/approvals.yaml"
    _ = try OverlayFile(path, reader: rig.gate.configuration.loader).remove(id, lacking: nil)
    #expect(GateTests.Tunnels.echoes(gone, "not read yet"))
    let (kept, _) = try Self.always(rig, "kept.test")
    #expect(Self.isCut(gone))
    #expect(GateTests.Tunnels.echoes(kept, "still there"))
  }

  @Test(
    "CTL-11: an answer that does not count any more once it is written is put back before anybody else may write"
  )
  func putBack() throws {
    let rig = try GateRig(Self.policy(), origin: OriginStub.echoes)
    defer { rig.stop() }
    let path = rig.directory + "/log/approvals.yaml"
    let file = OverlayFile(path, reader: rig.gate.configuration.loader)
    func rule(_ id: String) -> String { "{ id: \"\(id)\", action: allow, to: [\(id).test] }" }
    func text() -> String? { try? String(contentsOfFile: path, encoding: .utf8) }
    var seen: [String] = []
    for (id, isTaken) in [("none", false), ("first", true), ("second", false)] {
      let before = text()
      try file.add(rule(id), named: id, says: "a test") { standing in
        seen.append(standing.rules.map(\.id.text).joined(separator: " "))
        #expect(text()?.contains("\"\(id)\"") == true, "it is written")
        #expect(throws: RuleFileError.self) { try OverlayLock(of: path) }
        return isTaken
      }
      #expect(isTaken ? text()?.contains("\"\(id)\"") == true : text() == before)
    }
    #expect(seen == ["none", "first", "first second"])
    _ = try OverlayLock(of: path)
  }
}
