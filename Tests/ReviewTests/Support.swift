import Addressing
import Audit
import Foundation
import Policy
import Testing

@testable import Review

/// A log that is written for one test, by the gate's own writer, and removed with it.
final class WrittenLog {
  let folder: String
  var path: String { folder + "/audit.jsonl" }

  init(rotateAt: Int64 = 64 << 20, _ records: [Record]) throws {
    let memory = "/dev/shm", hasMemory = FileManager.default.isWritableFile(atPath: memory)
    folder =
      (hasMemory ? memory : FileManager.default.temporaryDirectory.path) + "/review-\(UUID().uuidString)"
    try FileManager.default.createDirectory(
      atPath: folder, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
    let log = try AuditLog.open(AuditOptions(path: path, rotateAt: rotateAt))
    for (place, record) in records.enumerated() {
      log.append(record)
      if place % 16 == 15 { #expect(log.commit()) }
    }
    log.close()
  }

  deinit { try? FileManager.default.removeItem(atPath: folder) }

  func summary(_ filter: RecordFilter = RecordFilter()) throws -> LogSummary {
    try LogSummary.of(logAt: path, filter)
  }

  func records() throws -> [LogRecord] {
    var reader = try LogReader(path: path), records: [LogRecord] = []
    try reader.forEach { records.append($0) }
    return records
  }

  func append(_ bytes: [UInt8]) throws {
    let handle = try #require(FileHandle(forWritingAtPath: path))
    handle.seekToEndOfFile()
    handle.write(Data(bytes))
    handle.closeFile()
  }
}

let someTime: Int64 = 1_795_600_000_000

/// A decision about `host`, an allowed tunnel unless said otherwise.
func decision(
  _ host: String = "api.example.test", _ port: UInt16 = 443, _ traffic: TrafficProtocol = .https,
  verdict: Action = .allow, reason: Reason = .allowed, wouldDeny: Bool = false, layer: Layer = .connect,
  agent: AgentName = .default, rule: String? = nil, method: String? = nil, address: String? = nil,
  at time: Int64 = someTime, flow: UInt64 = 1
) -> Record {
  let parsed = try? Host(host.utf8)
  let destination = parsed.flatMap { host in Port(port).map { Destination(host, $0, traffic) } }
  return .decision(
    DecisionRecord(
      time: Timestamp(milliseconds: time), flow: flow, agent: agent, client: "127.0.0.1:50000",
      listener: "127.0.0.1:3128", destination: destination,
      rawHost: destination == nil ? Array(host.utf8) : nil,
      layer: layer, verdict: verdict, wouldDeny: wouldDeny, reason: reason, rule: rule.flatMap { RuleID($0) },
      generation: 7, method: method, address: address.flatMap { IPAddress($0) }))
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
  .close(
    CloseRecord(
      time: Timestamp(milliseconds: time), flow: 1, agent: .default, client: "127.0.0.1:50000",
      destination: (try? Host(host.utf8)).flatMap { host in Port(port).map { Destination(host, $0, .https) }
      },
      rule: RuleID("test/1"), generation: 7, reason: .finished, bytesOut: out, bytesIn: received,
      duration: .milliseconds(1500)))
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

/// Numbers that are the same in every run, so that a failure can be repeated.
struct Seeded: RandomNumberGenerator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var z = state
    z = (z ^ z >> 30) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ z >> 27) &* 0x94d0_49bb_1331_11eb
    return z ^ z >> 31
  }
}
