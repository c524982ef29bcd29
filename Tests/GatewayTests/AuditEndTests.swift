import Audit
import Control
import Dispatch
import Firewall
import Keeper
import Policy
import Synchronization
import Testing

@testable import Gateway

extension GateTests {
  /// That watching ends by itself.
  @Suite struct AuditEnd {
    static func policy(_ mode: String) -> String {
      """
      version: 1
      \(mode)
      rules:
        - { id: place, action: ask, to: [raw.test], protocol: tcp, ports: [$ORIGIN], allow-loopback: true }
      """
    }

    @Test("CTL-16: audit mode ends while a reload waits for the table, and the reload brings it not back")
    func duringReload() throws {
      let table = SlowTable()
      let rig = try GateRig(Self.policy("mode: audit\naudit-until: 2999-01-01T00:00:00Z"), table: table)
      defer { rig.stop() }
      let client = try rig.tunnel(to: "raw.test")
      #expect(table.rules?.isAudit == true)
      // Only now, so that all it has to leave time for is the one reload below.
      let end = Timestamp.now() + .seconds(15), watching = Self.policy("mode: audit\naudit-until: \(end)")
      try rig.reload(watching)
      table.hold()
      let outcome = Mutex<ReloadOutcome?>(nil)
      try rig.reloading(watching) { reply in outcome.withLock { $0 = reply } }
      try eventually("the reload waits for the table") { table.waiting == 1 }
      #expect(rig.gate.queue.sync { rig.gate.policyStatus.mode } == .audit, "the control: its end is to come")
      try eventually("its time is over", within: .seconds(60)) { Timestamp.now() >= end }
      #expect(client.whateverComes().bytes.isEmpty, "what only watching let pass is cut")
      #expect(outcome.withLock { $0 } == nil)
      #expect(try rig.ask("CONNECT raw.test:\(rig.origin.port) HTTP/1.1\r\n\r\n").hasPrefix("HTTP/1.1 403"))
      table.letThrough()
      try eventually("the reload is over") { outcome.withLock { $0 } != nil }
      guard case .reloaded = outcome.withLock({ $0 }) else { throw GaveUp(description: "not reloaded") }
      try eventually("the table follows") {
        table.letThrough()
        return table.rules?.isAudit == false && rig.reckoned().isIdle
      }
      let now = rig.reckoned()
      #expect(now.rules == table.rules && now.generation == 4 && table.faults.isEmpty, "\(table.faults)")
      #expect(rig.gate.queue.sync { rig.gate.policyStatus.mode } == .enforce)
      #expect(try rig.ask("CONNECT raw.test:\(rig.origin.port) HTTP/1.1\r\n\r\n").hasPrefix("HTTP/1.1 403"))
      let records = try rig.records()
      let ended = records.filter { $0.reason == "audit-ended" }
      #expect(ended.count == 1 && records.count { $0.event == "policy" } == 4)
    }

    @Test("CTL-16: a table that did not follow the end of audit mode is told again until it does")
    func lateTable() throws {
      let table = SlowTable()
      let rig = try GateRig(Self.policy("mode: audit\naudit-until: 2999-01-01T00:00:00Z"), table: table)
      defer { rig.stop() }
      #expect(table.rules?.isAudit == true)
      table.hold()
      rig.gate.queue.sync {
        var policy = rig.gate.snapshot.policy
        policy.auditUntil = .now()
        rig.gate.snapshot = rig.gate.snapshot.replacingPolicy(policy)
      }
      for _ in 0..<2 {
        try eventually("the table is told") { table.waiting == 1 }
        table.letThrough(failing: FenceError("late"))
      }
      #expect(table.rules?.isAudit == true, "the control")
      try eventually("the table is told once more") { table.waiting == 1 }
      table.letThrough()
      try eventually("the table follows") { table.rules?.isAudit == false && rig.reckoned().isIdle }
      #expect(rig.gate.queue.sync { rig.gate.snapshot.policy.mode == .enforce && !rig.gate.isTableBehind })
    }

    @Test("CTL-16: a reload may set a later end, and a policy whose end is past is enforced at once")
    func reloads() throws {
      let rig = try GateRig(Self.policy("mode: audit\naudit-until: 2999-01-01T00:00:00Z"))
      defer { rig.stop() }
      let client = try rig.tunnel(to: "raw.test")
      try rig.reload(Self.policy("mode: audit\naudit-until: 2999-06-01T00:00:00Z"))
      client.send("more")
      #expect(rig.gate.queue.sync { rig.gate.snapshot.policy.mode } == .audit)
      try rig.reload(Self.policy("mode: audit\naudit-until: 2020-06-01T00:00:00Z"))
      #expect(rig.gate.queue.sync { rig.gate.snapshot.policy.mode } == .enforce)
      try eventually("what passed is cut") { rig.flows == 0 }
    }
  }
}
