import Addressing
import Approvals
import Audit
import EventLoop
import Policy
import PolicyFile
import Testing
import Wire

@testable import Gateway

/// What the state machines are given, and their effects as words, so that a test
/// reads like a conversation.
enum Bench {
  static let now = Timestamp(milliseconds: 1_795_514_400_000)
  static let moment = Moment(wall: now, rules: now)
  static let agent = AgentName("ci") ?? .default
  static let origin = Origin(
    agent: agent, client: "10.0.0.9:4711", listener: "127.0.0.1:3128", layer: .connect)
  static let endpoint = Endpoint(.v4(0x0b0b_000a), .https)

  static func policy(_ rules: String, mode: Mode = .enforce, generation: UInt64 = 7) throws -> Policy {
    let loader = PolicyLoader(
      runMode: .serve, environment: [:], workingDirectory: "/", now: now, hasDNSListener: true)
    let agents = "agents: { ci: { listen: 127.0.0.1:3128 }, other: { listen: 127.0.0.1:3129 } }"
    var policy = try loader.load(text: "version: 1\n\(agents)\nrules:\n\(rules)\n", named: "p").policy
    policy.mode = mode
    policy.generation = generation
    return policy
  }

  static func snapshot(_ rules: String, mode: Mode = .enforce, generation: UInt64 = 7) throws
    -> PolicySnapshot
  {
    let policy = try policy(rules, mode: mode, generation: generation)
    return PolicySnapshot(
      policy: policy,
      floor: Floor(
        localAddresses: [try address("11.11.0.1")], listeners: [try endpoint("127.0.0.1:3128")],
        resolvers: [try endpoint("11.11.0.53:53")]),
      directory: AgentDirectory(policy.agents))
  }

  static func address(_ text: String) throws -> IPAddress { try #require(IPAddress(text)) }
  static func endpoint(_ text: String) throws -> Endpoint { try #require(Endpoint(text)) }
  static func authority(_ text: String) throws -> Authority { try Authority(text.utf8, defaultPort: .https) }

  /// A flow that rule `rule` of `snapshot` let through.
  static func flow(
    to host: String, _ traffic: TrafficProtocol = .https, rule: String? = nil, under snapshot: PolicySnapshot
  ) throws -> Flow {
    let authority = try authority(host)
    let found = rule.flatMap { RuleID($0) }.flatMap { snapshot.policy.rule($0) }
    return Flow(
      id: 42, origin: origin, destination: Destination(authority.host, authority.port, traffic),
      decision: Decision(answer: .allow, reason: .allowed, rule: found), generation: snapshot.generation,
      startedAt: now)
  }
}

extension Record {
  /// `allow rule @11.11.0.10`, `deny no-rule`, `close finished 10/20`.
  var words: String {
    switch self {
    case .decision(let record):
      let would = record.wouldDeny ? " would-deny" : ""
      let place = record.address.map { " @\($0)" } ?? ""
      return "\(record.verdict.rawValue) \(record.reason.rawValue)\(would)\(place)"
    case .close(let record): return "close \(record.reason.token) \(record.bytesOut)/\(record.bytesIn)"
    default: return "another record"
    }
  }
}

extension Approach.Effect {
  var words: String {
    switch self {
    case .record(let record): record.words
    case .ask(let key, _): "ask \(key.destination)"
    case .hold: "hold"
    case .reserve: "reserve"
    case .resolve(let name): "resolve \(name)"
    case .commit: "commit"
    case .dial(let addresses, let port): "dial \(addresses.map { "\($0)" }.joined(separator: ",")) \(port)"
    case .connected(let endpoint): "connected \(endpoint)"
    case .refuse(let denial): "refuse \(denial.status) \(denial.reason.rawValue)"
    case .abandon: "abandon"
    }
  }
}

extension TunnelSession.Effect {
  var words: String {
    switch self {
    case .record(let record): record.words
    case .accept: "accept"
    case .readHello: "read"
    case .relay(_, let early): "relay \(early.count)"
    case .cut: "cut"
    }
  }
}

extension ExchangeSession.Effect {
  var words: String {
    switch self {
    case .record(let record): record.words
    case .toUpstream(let bytes): "up \(String(decoding: bytes, as: UTF8.self))"
    case .toClient(let bytes): "down \(String(decoding: bytes, as: UTF8.self))"
    case .relay(let handover): "relay \(handover.toUpstream.count)/\(handover.toClient.count)"
    case .refuse(let denial): "refuse \(denial.status) \(denial.reason.rawValue)"
    case .next(let bytes): "next \(String(decoding: bytes, as: UTF8.self))"
    case .close: "close"
    case .cut: "cut"
    }
  }
}
