import Addressing
import Firewall
import Testing

@testable import Keeper

/// What joins the process with the privilege and the one that reads the network.
@Suite struct MessageTests {
  static func rules() throws -> FenceRules {
    FenceRules(
      marks: [2, 9],
      grants: [
        [
          UDPGrant(try #require(IPPrefix("11.11.0.0/16")), ports: 53...60, .deny),
          UDPGrant(
            try #require(IPPrefix("2a0e::/32")), ports: 1...65535, .allow(mark: 9), allowsPrivate: true),
        ], [], [UDPGrant(try #require(IPPrefix("11.11.0.0/16")), ports: 53...60, .allow(mark: 2))],
      ],
      synthetic4: try #require(IPPrefix("198.18.0.0/15")), synthetic6: try #require(IPPrefix("fd00:1::/48")))
  }

  /// In audit mode, with resolvers.
  static func auditRules() throws -> FenceRules {
    var rules = try rules()
    rules.isAudit = true
    rules.resolvers = [try #require(Endpoint("11.11.0.53:53")), try #require(Endpoint("[2a0e::53]:5353"))]
    return rules
  }

  static func requests() throws -> [KeeperRequest] {
    let v4 = try #require(IPAddress("11.11.0.10")), v6 = try #require(IPAddress("2a0e::10"))
    return [
      .install(try rules()), .refill(try rules(), revoked: [3, 4]), .refill(try auditRules(), revoked: []),
      .report, .count,
      .open([
        FenceOpening(v4, ports: 123...123, mark: 2, lifetime: 60),
        FenceOpening(v6, ports: 1...256, mark: .max - 2, lifetime: 3600, agent: 7),
      ]),
    ]
  }

  @Test("requests and replies arrive as they were sent, and cut or longer ones do not")
  func roundTrip() throws {
    for request in try Self.requests() {
      let bytes = Numbered(number: 77, content: request).bytes
      #expect(try Numbered<KeeperRequest>(bytes) == Numbered(number: 77, content: request))
      for length in bytes.indices {
        #expect(throws: MalformedMessage.self) { try Numbered<KeeperRequest>(Array(bytes[..<length])) }
      }
      #expect(throws: MalformedMessage.self) { try Numbered<KeeperRequest>(bytes + [0]) }
    }
    var state = FenceState(isOwned: true, denied: .max, frames: 3, learned: 4)
    state.canary = .unsent
    state.unguarded = ["b0", "b1"]
    var watching = state
    watching.audited = 7
    let proofs =
      CanaryState.allCases.map(KeeperReply.canary) + [
        .device("b0", isGuarded: true), .device("b0", isGuarded: false), .counted([:]),
        .counted([Heldback(.denied, of: 3): .max, Heldback(.frame): 1]),
      ]
    let losses = LinkLoss.allCases.map { KeeperReply.lost(.max - 3, $0) }
    for reply in [.done, .refused("no"), .state(state), .state(watching), .state(.missing), .changed("x")]
      + proofs + losses
    {
      #expect(try Numbered<KeeperReply>(Numbered(number: 0, content: reply).bytes).content == reply)
    }
  }

  @Test(
    "no message speaks of the gate's own mark or of audit mode's, and none opens more ports than one answer may"
  )
  func bounds() throws {
    let address = try #require(IPAddress("11.11.0.10"))
    let refused: [KeeperRequest] = [
      .open([FenceOpening(address, ports: 1...257, mark: 2, lifetime: 60)]),
      .open([FenceOpening(address, ports: 1...1, mark: 1, lifetime: 60)]),
      .open([FenceOpening(address, ports: 1...1, mark: 0, lifetime: 60)]),
      .refill(try Self.rules(), revoked: [1]), .refill(try Self.rules(), revoked: [.max]),
      .open([FenceOpening(address, ports: 1...1, mark: .max, lifetime: 60)]),
      .open([FenceOpening(address, ports: 1...1, mark: .max - 1, lifetime: 60)]),
      .refill(try Self.rules(), revoked: [.max - 1]),
    ]
    for request in refused {
      let bytes = Numbered(number: 2, content: request).bytes
      #expect(throws: MalformedMessage.self) { try Numbered<KeeperRequest>(bytes) }
    }
  }

  @Test("what is opened to an agent that there is none of goes to nobody")
  func strangers() throws {
    let address = try #require(IPAddress("11.11.0.10"))
    let settings = { (side: FencedSide) in
      KeeperSettings(
        side, transparentPort: 1, dnsPort: 2, proxyPort: 3, logGroup: 4, ownership: .ownedPersistent)
    }
    let opening = { FenceOpening(address, ports: 123...123, mark: 2, lifetime: 60, agent: $0) }
    let gateway = settings(.gateway([[.init("a0", index: 5)], [.init("a1", index: 6)]]))
    #expect(gateway.learned(opening(1), port: 123)?.set.name == "raw4_1")
    #expect(gateway.learned(opening(2), port: 123) == nil)
    let sidecar = settings(.sidecar(.init(gateUID: 1, gateGroup: nil, inboundPorts: [], devices: [])))
    #expect(sidecar.learned(opening(0), port: 123)?.set.name == "raw4")
    #expect(sidecar.learned(opening(1), port: 123) == nil)
    #expect(gateway.table(try Self.rules()).chains.map(\.name).contains("udp_grants_1"))
  }

  @Test("any bytes are a message or are refused")
  func garbage() throws {
    var numbers = SystemRandomNumberGenerator()
    let samples = try Self.requests().map { Numbered(number: 5, content: $0).bytes }
    for _ in 0..<20_000 {
      var bytes = samples.randomElement(using: &numbers) ?? []
      for _ in 0..<Int.random(in: 1...4, using: &numbers) {
        bytes[Int.random(in: bytes.indices, using: &numbers)] = UInt8.random(in: 0...255, using: &numbers)
      }
      guard let request = try? Numbered<KeeperRequest>(bytes) else { continue }
      #expect(try Numbered<KeeperRequest>(request.bytes) == request)
    }
  }

  @Test("the floor of the table is the policy's")
  func floor() throws {
    let floor = try Self.rules().firewallGrants.floor
    for text in ["169.254.169.254", "127.0.0.1", "224.0.0.251", "0.1.2.3", "255.255.255.255", "198.18.0.1"] {
      let address = try #require(IPAddress(text))
      #expect(floor.always4.contains { $0.contains(address) }, "\(text)")
    }
    for text in ["::1", "::ffff:1.2.3.4", "fe80::1", "fd00:ec2::254", "ff02::fb", "64:ff9b::1", "fd00:1::1"] {
      let address = try #require(IPAddress(text))
      #expect(floor.always6.contains { $0.contains(address) }, "\(text)")
    }
    for text in ["10.0.0.1", "192.168.1.1", "100.64.0.1", "203.0.113.1", "240.0.0.1"] {
      let address = try #require(IPAddress(text))
      #expect(floor.private4.contains { $0.contains(address) }, "\(text)")
    }
    let global = try #require(IPAddress("11.11.0.10"))
    #expect(!(floor.always4 + floor.private4).contains { $0.contains(global) })
  }
}
