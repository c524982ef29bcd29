import Addressing
import Audit
import EventLoop
import Glibc
import Policy
import Testing
import Wire

@testable import Gateway

extension GateTests {
  /// Another policy while names are asked for.
  @Suite struct NameReloads {
    static func policy(_ rules: String, agents: String = "") -> String {
      "version: 1\n\(agents)\nrules:\n\(rules)\n"
    }
    static let allowed = policy("  - { id: web, action: allow, to: [\"**.web.test\"] }")
    static let denied = policy("  - { id: web, action: deny, to: [\"**.web.test\"] }")

    static func rig(_ policy: String, _ script: @escaping ResolverStub.Script = Names.public10) throws
      -> GateRig
    {
      try GateRig(policy, names: Names.names(script))
    }

    @Test("what was remembered under the old policy is forgotten, allowed or denied, and counted to the end")
    func forgotten() throws {
      let rig = try Self.rig(Self.allowed)
      defer { rig.stop() }
      let client = try rig.datagrams()
      for _ in 0..<3 { #expect("\(try client.ask("www.web.test"))".hasPrefix("0 www")) }
      try rig.reload(Self.denied)
      for _ in 0..<3 { #expect("\(try client.ask("www.web.test"))" == "3 15") }
      try rig.reload(Self.allowed)
      #expect("\(try client.ask("www.web.test"))".hasPrefix("0 www"))
      let told = try rig.records().filter { $0.layer == .dns }.map {
        "\($0.event ?? "") \($0.verdict?.rawValue ?? "") \($0.count) gen \($0.generation ?? 0)"
      }
      #expect(
        told == [
          "decision allow 1 gen 1", "rollup allow 2 gen 1", "decision deny 1 gen 2", "rollup deny 2 gen 2",
          "decision allow 1 gen 3",
        ])
    }

    @Test("a question that is under way is judged by the policy that is in force when its answer comes")
    func underWay() throws {
      let latch = Latch()
      let rig = try Self.rig(Self.allowed) { seen in
        latch.wait()
        return try Names.public10(seen)
      }
      defer { rig.stop() }
      let client = try rig.datagrams()
      client.send(NameQuery().bytes("www.web.test"))
      try eventually("it is asked upstream") { rig.resolver.seen.count == 1 }
      try rig.reload(Self.denied)
      latch.open()
      #expect("\(try client.reply())" == "3 15")
      #expect(try rig.questions() == ["www.web.test A deny deny-rule"])
    }

    @Test("row 8: an answer does not outlive the rule that let it pass, nor a denial its rule")
    func expired() throws {
      let end = Timestamp(milliseconds: Timestamp.now().milliseconds / 1000 * 1000 + 3000)
      let rig = try Self.rig(
        Self.policy(
          """
            - { id: web, action: allow, to: ["www.web.test"], expires: \(end) }
            - { id: all, action: allow, to: ["*.free.test"] }
            - { id: bad, action: deny, to: ["www.free.test"], expires: \(end) }
          """))
      defer { rig.stop() }
      let client = try rig.datagrams()
      #expect("\(try client.ask("www.web.test"))".hasPrefix("0 www"))
      #expect("\(try client.ask("www.free.test"))" == "3 15")
      try eventually("the rule is over") { "\(try client.ask("www.web.test"))" == "3 18" }
      #expect("\(try client.ask("www.free.test"))".hasPrefix("0 www"))
      #expect(Timestamp.now().milliseconds <= end.milliseconds + 2500)
    }

    static let one = "agents: { ci: { token_sha256: \(Names.token), dns: 127.0.0.1:$OTHER } }"

    @Test("listeners of agents come, go and change hands with the policy; who was connected does not stay")
    func listeners() throws {
      let rules = "  - { id: ci, action: allow, agents: [ci], to: [\"*.ci.test\"] }"
      let rig = try Self.rig(Self.allowed)
      defer { rig.stop() }
      #expect(!LoopbackSocket.isListening(rig.other))
      try rig.reload(Self.policy(rules, agents: Self.one))
      let client = try rig.datagrams(rig.other), stream = try rig.stream(rig.other)
      #expect("\(try client.ask("a.ci.test"))".hasPrefix("0 a.ci"))
      #expect("\(try stream.ask("b.ci.test"))".hasPrefix("0 b"))
      let two = Self.one.replacing("ci:", with: "ci: { listen: 127.0.0.1:$LISTEN }, qa:")
      try rig.reload(Self.policy(rules, agents: two))
      #expect("\(try client.ask("a.ci.test"))" == "3 18", "it is another agent's now")
      try eventually("no connection goes on as who came by it", within: .seconds(2)) {
        try rig.names { $0.openConnections } == 0
      }
      #expect(try stream.read().isEmpty)
      #expect("\(try rig.stream(rig.other).ask("b.ci.test"))" == "3 18")
      let last = try rig.stream(rig.other)
      _ = try last.ask("b.ci.test")
      try rig.reload(Self.allowed)
      #expect(last.whateverComes().bytes.isEmpty && !LoopbackSocket.isListening(rig.other))
      client.send(NameQuery().bytes("a.ci.test"))
      #expect(client.receive(within: 100) == nil)
      #expect(try rig.datagrams().ask("www.web.test").answers.count == 1)
      try rig.reload(Self.policy(rules, agents: Self.one))
      #expect("\(try rig.datagrams(rig.other).ask("a.ci.test"))".hasPrefix("0 a.ci"), "the same port again")
    }

    @Test("a gate that began without DNS listeners gets one by a reload")
    func first() throws {
      let rig = try GateRig(Self.allowed, names: GateRig.Names(upstream: Names.public10))
      defer { rig.stop() }
      try rig.reload(Self.allowed.replacing("rules:", with: Self.one + "\nrules:"))
      #expect("\(try rig.datagrams(rig.other).ask("www.web.test"))".hasPrefix("0 www"))
    }

    @Test("row 14: where a DNS listener cannot be bound nothing changes, proxy listeners neither")
    func inVain() throws {
      let both = "agents: { ci: { listen: 127.0.0.1:$DNS, dns: 127.0.0.1:$OTHER } }"
      let rules = "  - { id: web, action: allow, to: [\"**.web.test\"] }"
      let rig = try GateRig(Self.policy(rules), names: GateRig.Names(upstream: Names.public10))
      defer { rig.stop() }
      let taken = try LoopbackSocket.bound(SOCK_DGRAM, port: rig.other.number)
      defer { close(taken) }
      #expect(throws: GaveUp.self) { try rig.reload(Self.policy(rules, agents: both)) }
      #expect(!LoopbackSocket.isListening(rig.dns), "the other half of the new policy")
      #expect(!LoopbackSocket.isListening(rig.other))
      #expect(rig.gate.snapshot.generation == 1)
    }

    @Test(
      "DNS-09: names that tell too much: an alert, then new ones go nowhere, until another policy is in force"
    )
    func labels() throws {
      let rig = try Self.rig(Self.allowed)
      defer { rig.stop() }
      let client = try rig.datagrams()
      func ask(_ number: Int) throws -> String {
        "\(try client.ask("\(String(repeating: "x", count: 40))\(1000 + number).web.test"))"
      }
      var allowed = 0
      while try ask(allowed).hasPrefix("0 "), allowed < 1000 { allowed += 1 }
      // 44 bytes each; a minute of the clock may end meanwhile, and then it is thrice the budget at most.
      #expect((186...300).contains(allowed), "twice 4096 bytes: \(allowed)")
      let asked = rig.resolver.seen.count
      #expect(asked == allowed)
      #expect(try ask(2000) == "3 18" && ask(2001) == "3 18")
      #expect(try ask(0).hasPrefix("0 "), "seen before")
      #expect(rig.resolver.seen.count == asked, "nothing of the others was shown to anybody")
      #expect(try rig.questions().suffix(3).allSatisfy { $0.hasSuffix("A deny dns-budget") })
      #expect(try rig.records().contains { $0.isAlert })
      try rig.reload(Self.allowed)
      #expect(try ask(2000).hasPrefix("0 "))
    }

    @Test("what was counted is told when the gate stops")
    func stopped() throws {
      let rig = try Self.rig(Self.allowed)
      let client = try rig.datagrams()
      for _ in 0..<5 { _ = try client.ask("www.web.test") }
      rig.drain(within: .zero)
      defer { rig.finish() }
      let told = try rig.records().filter { $0.layer == .dns }
      #expect(told.map(\.count) == [1, 4])
    }
  }
}
