import Addressing
import Policy
import Testing

/// The time at which every table is judged.
let now = Timestamp(milliseconds: 1_795_514_400_000)

func name(_ text: String) throws -> Hostname { try Hostname(text) }

func host(_ text: String) throws -> Host { try Host(text.utf8) }

func address(_ text: String) throws -> IPAddress { try #require(IPAddress(text), "\(text)") }

func port(_ number: UInt16) throws -> Port { try #require(Port(number)) }

func agent(_ text: String) throws -> AgentName { try #require(AgentName(text)) }

/// `443` or `8081-8083`.
func ports(_ text: String) throws -> PortRange {
  let ends = try text.split(separator: "-").map { try #require(Port($0.utf8)) }
  return PortRange(try #require(ends.first), try #require(ends.last))
}

/// A pattern as a policy file writes it.
func pattern(_ text: String) throws -> HostPattern {
  if text == "*" { return .anyName }
  if text.hasPrefix("**.") { return .domain(try name(String(text.dropFirst(3)))) }
  if text.hasPrefix("*.") { return .subdomains(of: try name(String(text.dropFirst(2)))) }
  if let block = IPPrefix(text) { return .prefix(block) }
  return .exact(try name(text))
}

/// A rule with the defaults of the policy language.
func rule(
  _ id: String, _ action: Action = .allow, to: [String], _ traffic: TrafficProtocol = .https,
  ports: [String]? = nil,
  agents: [String]? = nil, requests: [RequestPattern] = [], limits: Limits = .none,
  allowPrivate: Bool = false,
  allowLoopback: Bool = false, note: String? = nil, expires: Timestamp? = nil, source: String = "test.yaml:1"
) throws -> Rule {
  Rule(
    id: try #require(RuleID(id)), action: action, agents: try agents.map { Set(try $0.map(agent)) },
    to: try to.map(pattern), ports: try (ports ?? [traffic == .http ? "80" : "443"]).map(PolicyTests.ports),
    traffic: traffic, requests: requests, limits: limits, allowPrivate: allowPrivate,
    allowLoopback: allowLoopback,
    note: note, expires: expires, source: source)
}

/// `https://host:port`, as a destination describes itself.
func destination(_ text: String) throws -> Destination {
  let traffic = try #require(TrafficProtocol(rawValue: String(text.prefix { $0 != ":" })))
  let authority = try Authority(text.utf8.dropFirst(traffic.rawValue.utf8.count + 3))
  return Destination(authority.host, authority.port, traffic)
}

/// A gate with two interfaces, two listeners and one resolver.
func benchFloor() throws -> Floor {
  Floor(
    localAddresses: [
      try address("127.0.0.1"), try address("10.66.0.1"), try address("11.11.0.1"),
      try address("2a0e:b107:11::1"),
    ],
    listeners: [try #require(Endpoint("10.66.0.1:3128")), try #require(Endpoint("0.0.0.0:3129"))],
    resolvers: [try #require(Endpoint("11.11.0.53:5353"))])
}

extension Policy {
  /// Decides for agent `a1` on the bench.
  func decide(_ text: String, agent: String = "a1", request: RequestFacts? = nil, floor: Floor? = nil) throws
    -> Decision
  {
    decide(
      try destination(text), agent: try PolicyTests.agent(agent), request: request,
      floor: try floor ?? benchFloor(), at: now)
  }
}
