import Addressing
import Audit
import LogFixtures
import Policy
import Testing

@testable import Review

/// A log that is written for one test, by the gate's own writer, and removed with it.
final class WrittenLog {
  let scratch: Scratch
  private let rotateAt: Int64
  var path: String { scratch.log }

  init(rotateAt: Int64 = 64 << 20, _ records: [Record]) throws {
    scratch = try Scratch()
    self.rotateAt = rotateAt
    try write(records)
  }

  /// Goes on with the log.
  func write(_ records: [Record]) throws {
    let log = try AuditLog.open(scratch.options(rotateAt: rotateAt))
    for (place, record) in records.enumerated() {
      log.append(record)
      if place % 16 == 15 { #expect(log.commit()) }
    }
    log.close()
  }

  func summary(
    _ filter: RecordFilter = RecordFilter(), limit: Int = FoldTree.limit
  ) throws -> LogSummary {
    try LineSummarizer.of(LogExtent.all(ofLogAt: path), filter, limit: limit).summary
  }

  func records() throws -> [LogRecord] { try scratch.records() }

  func append(_ bytes: [UInt8]) throws { try scratch.append(bytes) }
}

/// A decision about `host`, an allowed tunnel unless said otherwise.
func decision(
  _ host: String = "api.example.test", _ port: UInt16 = 443, _ traffic: TrafficProtocol = .https,
  verdict: Action = .allow, reason: Reason = .allowed, wouldDeny: Bool = false, layer: Layer = .connect,
  agent: AgentName = .default, rule: String? = nil, method: String? = nil, address: String? = nil,
  at time: Int64 = someTime, flow: UInt64 = 1
) -> Record {
  .decision(
    .sample(
      host, Port(port), traffic, verdict: verdict, reason: reason, wouldDeny: wouldDeny, layer: layer,
      agent: agent,
      rule: rule, method: method, address: address, at: time, flow: flow))
}

/// What audit mode let pass.
func passed(
  _ host: String, _ port: UInt16 = 443, _ traffic: TrafficProtocol = .https, reason: Reason = .noRule,
  layer: Layer = .connect, agent: AgentName = .default, method: String? = nil, at time: Int64 = someTime
) -> Record {
  decision(
    host, port, traffic, reason: reason, wouldDeny: true, layer: layer, agent: agent, method: method, at: time
  )
}

/// What a person allowed.
func approved(_ host: String) -> Record { decision(host, reason: .approved, rule: "asks") }

/// What enforce mode denied.
func denied(
  _ host: String, _ port: UInt16 = 443, _ traffic: TrafficProtocol = .https, reason: Reason = .noRule,
  layer: Layer = .connect, agent: AgentName = .default, rule: String? = nil, at time: Int64 = someTime
) -> Record {
  decision(
    host, port, traffic, verdict: .deny, reason: reason, layer: layer, agent: agent, rule: rule, at: time)
}

/// A question to the DNS listener.
func question(
  _ host: String, _ type: String = "A", verdict: Action = .deny, reason: Reason = .noRule,
  wouldDeny: Bool = false,
  at time: Int64 = someTime
) -> Record {
  decision(
    host, 53, .dns, verdict: verdict, reason: reason, wouldDeny: wouldDeny, layer: .dns, method: type,
    at: time)
}

/// The end of a connection.
func closing(
  _ host: String, _ port: UInt16 = 443, out: UInt64 = 10, in received: UInt64 = 20, at time: Int64 = someTime
) -> Record {
  .close(.sample(host, Port(port), out: out, in: received, at: time))
}

/// Decisions about questions that were counted.
func rollUp(
  _ host: String, verdict: Action, reason: Reason, wouldDeny: Bool = false, count: UInt64 = 9,
  isOverflow: Bool = false
) throws -> Record {
  .rollUp(
    RollUpRecord(
      agent: .default, layer: .dns,
      destination: isOverflow ? nil : Destination(try Host(host.utf8), .domain, .dns),
      reason: reason, generation: 7, count: count, first: Timestamp(milliseconds: 1000),
      last: Timestamp(milliseconds: 2000), isOverflow: isOverflow, verdict: verdict, wouldDeny: wouldDeny,
      method: "A"))
}
