import Addressing
import Approvals
import Audit
import Control
import Dispatch
import EventLoop
import Firewall
import Glibc
import Keeper
import Policy
import PolicyFile
import Synchronization
import Testing

import class Foundation.Thread

@testable import Gateway

extension GateRig {
  /// A gate with a table in place of the kernel's.
  convenience init(_ policy: String, table: SlowTable) throws {
    try self.init(
      policy, origin: OriginStub.echoes,
      configure: { configuration in
        configuration.runMode = .sidecar
        configuration.dnsAnswers = .synthetic
        configuration.fence = table
      })
  }

  /// What the table should hold now, reckoned from nothing but what is in force.
  func reckoned() -> (rules: FenceRules?, generation: UInt64, isIdle: Bool) {
    gate.queue.sync {
      let snapshot = gate.snapshot
      let rules = gate.fenceRules(of: snapshot.policy, snapshot.marks, at: gate.fenceTime)
      return (rules, snapshot.generation, gate.order.isIdle)
    }
  }

  func reloading(_ policy: String, _ hear: @escaping @Sendable (ReloadOutcome) -> Void) throws {
    try write(policy, to: "policy.yaml")
    gate.reload(completion: hear)
  }
}

extension GateTests {
  /// What changes the snapshot and the kernel's table happens one after the other.
  @Suite struct Order {
    static let place =
      "  - { id: raw, action: allow, to: [raw.test], protocol: tcp, ports: [$ORIGIN], allow-loopback: true }\n"
    static func policy(_ numbers: Int..., more: String = "") -> String {
      "version: 1\nrules:\n" + place
        + numbers.map {
          "  - { id: u\($0), action: allow, to: [11.0.0.\($0)/32], protocol: udp, ports: [123] }\n"
        }
        .joined() + more
    }

    final class Seen: Sendable {
      private let generations = Mutex<[UInt64]>([])
      var all: [UInt64] { generations.withLock { $0 } }
      func add(_ generation: UInt64) { generations.withLock { $0.append(generation) } }
    }

    /// Has something done in a thread of its own, until it is over.
    final class Doing: Sendable {
      private let semaphore = DispatchSemaphore(value: 0)
      private let said = Mutex<String?>(nil)
      init(_ work: @escaping @Sendable () throws -> String) {
        // A thread of its own: those of Dispatch are few, and each of these waits.
        Thread.detachNewThread { [self] in
          let answer = (try? work()) ?? "failed"
          said.withLock { $0 = answer }
          semaphore.signal()
        }
      }
      var hasEnded: Bool { said.withLock { $0 != nil } }
      func end() -> String {
        semaphore.wait()
        return said.withLock { $0 } ?? ""
      }
    }

    @Test(
      "A stop cuts at once while a reload waits for the table; the table follows, and the reload lifts nothing"
    )
    func stopDuringReload() throws {
      let table = SlowTable(), rig = try GateRig(Self.policy(1, 2), table: table)
      defer { rig.stop() }
      let client = try rig.tunnel(to: "raw.test")
      table.hold()
      let outcome = Mutex<ReloadOutcome?>(nil)
      try rig.reloading(Self.policy(2, 3)) { reply in outcome.withLock { $0 = reply } }
      try eventually("the reload waits for the table") { table.waiting == 1 }
      let stop = Doing { try rig.tell("stop-all") }
      #expect(client.whateverComes().bytes.isEmpty)
      #expect(table.waiting == 1 && !stop.hasEnded && outcome.withLock { $0 } == nil)
      let resume = Doing { try rig.tell("resume") }
      try eventually("it is taken back in memory") {
        !rig.gate.queue.sync { rig.gate.snapshot.policy.stop.isGiven }
      }
      let again = Doing { try rig.tell("stop-all") }
      try eventually("and given again") { rig.gate.queue.sync { rig.gate.snapshot.policy.stop.everybody } }
      let before = try #require(table.rules)
      table.letThrough()
      for change in [stop, resume, again] {
        try eventually("an order's turn") { table.waiting == 1 }
        #expect(!change.hasEnded)
        table.letThrough()
        #expect(change.end().contains("\"stopped\""))
      }
      try eventually("the reload is over") { outcome.withLock { $0 } != nil }
      guard case .reloaded = outcome.withLock({ $0 }) else { throw GaveUp(description: "not reloaded") }
      let now = rig.reckoned()
      #expect(now.generation == 2 && now.rules == table.rules && table.rules?.marks == [])
      #expect(
        table.rules?.isStopped == true && before.marks.count == 2 && table.faults.isEmpty, "\(table.faults)")
      table.letThrough(9)
      #expect(
        try rig.ask("CONNECT raw.test:\(rig.origin.port) HTTP/1.1\r\n\r\n").contains("\"reason\":\"stopped\"")
      )
    }

    @Test("A stop that was taken back before the table heard of it has still ended the flows in it")
    func stopAndResume() throws {
      let table = SlowTable(), rig = try GateRig(Self.policy(1), table: table)
      defer { rig.stop() }
      let before = try #require(table.rules).marks
      table.hold()
      let stop = Doing { try rig.tell("stop-all") }
      try eventually("the table is told") { table.waiting == 1 }
      let other = Doing { try rig.tell("stop-all") }
      try eventually("the second order is given") {
        try rig.records().count { $0.event == "control" } == 2
      }
      let resume = Doing { try rig.tell("resume") }
      try eventually("it is taken back in memory") {
        !rig.gate.queue.sync { rig.gate.snapshot.policy.stop.isGiven }
      }
      for change in [stop, other, resume] {
        try eventually("its turn") { table.waiting == 1 }
        table.letThrough()
        _ = change.end()
      }
      #expect(table.rules?.marks.count == 1 && table.rules?.marks.isDisjoint(with: before) == true)
      #expect(rig.reckoned().rules == table.rules && table.faults.isEmpty, "\(table.faults)")
    }

    @Test("Reloads that cross have a generation each, in order, and the last one is in force")
    func reloads() throws {
      let table = SlowTable { _ in 500 }, rig = try GateRig(Self.policy(1), table: table)
      defer { rig.stop() }
      let seen = Mutex<[UInt64]>([])
      try rig.write(Self.policy(2, 3), to: "policy.yaml")
      for _ in 0..<20 {
        rig.gate.reload { reply in
          if case .reloaded(let report) = reply { seen.withLock { $0.append(report.generation) } }
        }
      }
      try eventually("all are over", within: .seconds(60)) { seen.withLock { $0.count } == 20 }
      #expect(seen.withLock { $0 } == Array(2...21))
      #expect(rig.reckoned().rules == table.rules && table.faults.isEmpty, "\(table.faults)")
    }

    @Test("What the table refuses changes nothing, and its numbers are nobody's afterwards")
    func refused() throws {
      let table = SlowTable { $0 == 1 ? nil : 0 }, rig = try GateRig(Self.policy(1), table: table)
      defer { rig.stop() }
      let before = table.rules
      #expect(throws: GaveUp.self) { try rig.reload(Self.policy(2)) }
      #expect(table.rules == before && rig.reckoned().generation == 1)
      let client = try rig.tunnel(to: "raw.test")
      #expect(Tunnels.echoes(client, "as before"))
      try rig.reload(Self.policy(3))
      #expect(rig.reckoned().rules == table.rules && table.faults.isEmpty, "\(table.faults)")
    }

    @Test("A large policy is read beside: a stop while that goes on cuts at once")
    func largePolicy() throws {
      let rig = try GateRig("version: 1\nrules:\n" + Self.place, origin: OriginStub.echoes)
      defer { rig.stop() }
      let files = 4
      for file in 0..<files {
        let rules = (0..<2500).map {
          "  - { id: r\(file)-\($0), action: allow, to: [h\($0).f\(file).test] }\n"
        }
        try rig.write("version: 1\nrules:\n" + rules.joined(), to: "part\(file).yaml")
      }
      let includes = (0..<files).map { "file:part\($0).yaml" }.joined(separator: ", ")
      var wereReading = 0
      for round in 0..<4 {
        let client = try rig.tunnel(to: "raw.test")
        let isOver = Mutex(false)
        try rig.reloading("version: 1\ninclude: [\(includes)]\nrules:\n" + Self.place + "# \(round)\n") { _ in
          isOver.withLock { $0 = true }
        }
        poll(nil, 0, Int32(5 + 20 * round))
        let stop = Doing { try rig.tell("stop-all") }
        #expect(client.whateverComes().bytes.isEmpty)
        wereReading += isOver.withLock { $0 } ? 0 : 1
        #expect(stop.end().contains("\"everybody\":true"))
        try eventually("the reload is over", within: .seconds(120)) { isOver.withLock { $0 } }
        #expect(
          rig.gate.queue.sync {
            rig.gate.snapshot.policy.stop.everybody && rig.gate.snapshot.policy.rules.count > 9000
          })
        _ = try rig.tell("resume")
      }
      #expect(wereReading > 0, "or it proves nothing")
    }

    @Test(
      "A storm of reloads, stops, approvals for a second and revocations leaves what is in force in the table"
    )
    func storm() throws {
      let table = SlowTable { number in number.isMultiple(of: 13) ? nil : (number * 7919) % 9000 }
      let ask = Asking.ask("q", "q.test", "http")
      let rig = try GateRig(Self.policy(1, 2, more: ask), table: table)
      defer { rig.stop() }
      let channel = rig.gate.approvals.attach(.control)
      defer { extendLifetime(channel) }
      let end = MonotonicTime.now() + .seconds(4), generations = Seen(), orders = Tally()
      let works: [@Sendable () throws -> Void] = [
        { try Self.reload(rig, ask, until: end, generations) },
        { try Self.reload(rig, ask, until: end, generations) },
        {
          while MonotonicTime.now() < end {
            orders.add(1); _ = try rig.tell(Bool.random() ? "stop-all" : "resume")
          }
        },
        { while MonotonicTime.now() < end { orders.add(1); _ = try rig.tell("resume") } },
        {
          while MonotonicTime.now() < end {
            _ = try? rig.ask(rig.get("q.test", "/", "Connection: close\r\n"))
          }
        },
        {
          while MonotonicTime.now() < end {
            guard let question = rig.gate.approvals.questions.first else { continue }
            guard (try? rig.answer(question, .allow(Bool.random() ? .time(.seconds(1)) : .always))) != nil
            else { continue }
            for grant in rig.gate.approvals.standing.rules { _ = try? rig.revoke(grant.id.text) }
          }
        },
      ]
      let doing = works.map { work in
        Doing {
          try work(); return "done"
        }
      }
      #expect(doing.map { $0.end() } == works.map { _ in "done" })
      try eventually("every change is over", within: .seconds(30)) { rig.reckoned().isIdle }
      let now = rig.reckoned()
      // A change that the table refused is the last word of a stop only until the next one.
      _ = try rig.tell("resume")
      try eventually("the table holds what is in force") { rig.reckoned().rules == table.rules }
      let seen = generations.all
      #expect(Set(seen).count == seen.count && seen.max() == now.generation, "\(seen.count) reloads")
      #expect(seen.count >= 3 && orders.value >= 3 && table.faults.isEmpty, "\(table.faults)")
      #expect(table.rules?.marks == rig.gate.queue.sync { rig.gate.snapshot.marks.live })
      let written = try rig.gate.configuration.loader.overlay(path: rig.directory + "/log/approvals.yaml")
      #expect(Set(written?.rules.rules ?? []) == Set(rig.gate.approvals.standing.rules))
    }

    private static func reload(
      _ rig: GateRig, _ ask: String, until end: MonotonicTime, _ generations: Seen
    ) throws {
      while MonotonicTime.now() < end {
        let done = DispatchSemaphore(value: 0), reached = Mutex<UInt64?>(nil)
        let numbers = [1, 2, 3, 4].filter { _ in Bool.random() }
        let rules = numbers.map {
          "  - { id: u\($0), action: allow, to: [11.0.0.\($0)/32], protocol: udp, ports: [123] }\n"
        }
        try rig.reloading("version: 1\nrules:\n" + place + rules.joined() + ask) { reply in
          if case .reloaded(let report) = reply { reached.withLock { $0 = report.generation } }
          done.signal()
        }
        done.wait()
        if let generation = reached.withLock({ $0 }) { generations.add(generation) }
      }
    }
  }
}
