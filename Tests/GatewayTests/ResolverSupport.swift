import Addressing
import EventLoop
import Policy
import Testing
import Wire

@testable import Gateway

/// Builds the responses that upstreams give in the tests.
struct DNSReply {
  var flags: UInt16 = 0x8180
  var responseCode: UInt16 = 0
  var answers: [[UInt8]] = []
  var authorities: [[UInt8]] = []
  var additionals: [[UInt8]] = []

  func bytes(id: UInt16, question: DNSQuestion) -> [UInt8] {
    let counts = [1, answers.count, authorities.count, additionals.count].map { UInt16($0) }
    let header = ([id, flags | responseCode] + counts).flatMap { [UInt8($0 >> 8), UInt8($0 & 0xff)] }
    return header + question.encoded + (answers + authorities + additionals).flatMap { $0 }
  }

  func bytes(to query: DNSQuery) -> [UInt8] { bytes(id: query.id, question: query.question) }

  /// A record from `NAME TTL A|AAAA|CNAME|SOA|TYPEnnn VALUE`; an SOA's value is its
  /// MINIMUM, that of a type by number its data in hex digits (RFC 3597 §5).
  static func record(_ text: String) throws -> [UInt8] {
    let fields = text.split(separator: " ").map(String.init)
    try #require(fields.count == 4, "\(text)")
    let (type, data) = try self.data(fields[2], fields[3])
    let ttl = try #require(UInt32(fields[1]))
    return try name(fields[0]) + number(type) + [0, 1] + number(ttl) + number(UInt16(data.count)) + data
  }

  private static func data(_ type: String, _ value: String) throws -> (UInt16, [UInt8]) {
    switch type {
    case "A": (1, try #require(IPAddress(value)).bytes)
    case "AAAA": (28, try #require(IPAddress(value)).bytes)
    case "CNAME": (5, try name(value))
    case "SOA": (6, [0, 0] + [UInt8](repeating: 0, count: 16) + number(try #require(UInt32(value))))
    case let other where other.hasPrefix("TYPE"):
      (try #require(UInt16(other.dropFirst(4))), try hex(value))
    default: throw ScenarioError.unknown(type)
    }
  }

  private static func hex(_ digits: String) throws -> [UInt8] {
    let values = try digits.map { UInt8(try #require($0.hexDigitValue)) }
    return stride(from: 0, to: values.count - 1, by: 2).map { values[$0] << 4 | values[$0 + 1] }
  }

  /// Any labels, so that a test can name what is no host.
  private static func name(_ text: String) throws -> [UInt8] {
    text.split(separator: ".").flatMap { [UInt8($0.utf8.count)] + Array($0.utf8) } + [0]
  }

  private static func number<T: FixedWidthInteger>(_ value: T) -> [UInt8] {
    withUnsafeBytes(of: value.bigEndian) { Array($0) }
  }
}

enum ScenarioError: Error {
  case unknown(String)
}

/// A resolver's core on a clock that only the test moves, with upstreams that
/// say what the test tells them to.
struct ResolverBench {
  struct Query {
    let token: ResolverCore.QueryToken
    let upstream: Endpoint
    let query: DNSQuery
    let transport: Attempt.Transport
  }

  var core: ResolverCore
  var now = MonotonicTime(nanoseconds: 1_000_000_000)
  /// Attempts under way, oldest first.
  var open: [Query] = []
  /// All that was ever sent.
  var sent: [Query] = []
  /// All who had to wait, in the order in which they asked.
  var waiters: [ResolveToken] = []
  /// All who were told later.
  var told: [ResolveToken] = []
  var results: [Hostname: [Result<Resolution, ResolveFailure>]] = [:]
  var alarms: [Hostname: MonotonicTime] = [:]

  init(
    upstreams: [String] = ["11.11.0.53"], forwards: [String] = [], hosts: String = "", ipv6: Bool = false,
    cachedNames: Int = 100, lookupsInFlight: Int = 256
  ) throws {
    let routes = UpstreamRoutes(
      standard: try upstreams.map { try Upstream($0) }, forwards: try forwards.map { try UpstreamForward($0) }
    )
    let configuration = ResolverConfiguration(
      routes: routes, hosts: HostsFile.parse(Array(hosts.utf8)), ipv6: ipv6,
      lookupsInFlight: lookupsInFlight)
    core = ResolverCore(
      configuration, cachedNames: cachedNames,
      random: { UInt64.random(in: .min ... .max) })
  }

  /// Asks, and returns the answer if it is known at once.
  @discardableResult
  mutating func ask(_ name: String, for agent: String = "a1") throws -> Result<Resolution, ResolveFailure>? {
    let host = try Hostname(name)
    switch core.ask(host, for: try #require(AgentName(agent)), at: now) {
    case .known(let result):
      results[host, default: []].append(result)
      return result
    case .later(let token, let effects):
      waiters.append(token)
      try perform(effects)
      return nil
    }
  }

  /// Whoever asked in this place, counted from the first, waits no longer.
  mutating func cancel(_ place: Int) throws {
    try perform(core.cancel(waiters[place]))
  }

  mutating func handle(_ event: ResolverCore.Event) throws {
    try perform(core.handle(event, at: now))
  }

  /// Lets time pass, in milliseconds, and rings what is due, in order.
  mutating func wait(_ milliseconds: Int) throws {
    let end = now + .milliseconds(milliseconds)
    while let next = alarms.min(by: { $0.value < $1.value }), next.value <= end {
      now = max(now, next.value)
      alarms[next.key] = nil
      try handle(.alarm(next.key))
    }
    now = end
  }

  func query(_ type: DNSRecordType) throws -> Query {
    try #require(open.last { $0.token.type == type }, "no \(type) query is under way")
  }

  mutating func reply(_ type: DNSRecordType, _ reply: DNSReply) throws {
    let query = try query(type)
    try deliver(reply.bytes(to: query.query), to: query, from: query.upstream)
  }

  mutating func deliver(_ bytes: [UInt8], to query: Query, from sender: Endpoint) throws {
    switch query.transport {
    case .datagram: try handle(.datagram(bytes, from: sender, query.token))
    case .stream, .secure: try handle(.message(bytes, query.token))
    }
  }

  private mutating func perform(_ effects: [ResolverCore.Effect]) throws {
    for effect in effects {
      switch effect {
      case .sendDatagram(let token, let upstream, let bytes): try note(token, upstream, bytes, .datagram)
      case .sendMessage(let token, let upstream, let bytes): try note(token, upstream, bytes, .stream)
      case .sendSecure(let token, let upstream, let bytes): try note(token, upstream.endpoint, bytes, .secure)
      case .close(let token): open.removeAll { $0.token == token }
      case .alarm(let name, let time): alarms[name] = time
      case .finish(let name, let result, let tokens):
        results[name, default: []].append(result)
        told += tokens
      }
    }
  }

  private mutating func note(
    _ token: ResolverCore.QueryToken, _ upstream: Endpoint, _ bytes: [UInt8], _ transport: Attempt.Transport
  ) throws {
    let query = Query(
      token: token, upstream: upstream, query: try DNSQuery.parse(bytes), transport: transport)
    open.append(query)
    sent.append(query)
  }
}
