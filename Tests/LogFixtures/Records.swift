import Addressing
import Audit
import Policy

/// In milliseconds since 1970: when things happen in a test that does not say when.
public let someTime: Int64 = 1_795_600_000_000

extension DecisionRecord {
  /// A decision about `host`, an allowed tunnel unless said otherwise; what is no host is recorded as bytes.
  public static func sample(
    _ host: String = "api.example.test", _ port: Port? = .https, _ traffic: TrafficProtocol = .https,
    raw: [UInt8]? = nil, verdict: Action = .allow, reason: Reason = .allowed, wouldDeny: Bool = false,
    layer: Layer = .connect, agent: AgentName = .default, rule: String? = "test/1", method: String? = nil,
    address: String? = nil, detail: String? = nil, at time: Int64 = someTime, flow: UInt64 = 1
  ) -> DecisionRecord {
    let named = (try? Host(host.utf8)).flatMap { host in port.map { Destination(host, $0, traffic) } }
    let destination = raw == nil ? named : nil
    return DecisionRecord(
      time: Timestamp(milliseconds: time), flow: flow, agent: agent, client: "127.0.0.1:50000",
      listener: "127.0.0.1:3128", destination: destination,
      rawHost: raw ?? (named == nil ? Array(host.utf8) : nil), layer: layer, verdict: verdict,
      wouldDeny: wouldDeny, reason: reason, rule: rule.flatMap { RuleID($0) }, generation: 7, method: method,
      address: address.flatMap { IPAddress($0) }, detail: detail)
  }
}

extension DecisionRecord {
  /// A connection of a program that was held and refused.
  ///
  /// - Parameter file: nil: none of several processes is named as the one.
  public static func sample(_ host: String, by file: String?, _ command: String = "python3 \"x\"") -> Self {
    var record = sample(host, verdict: .deny, reason: .refused)
    record.program = ProgramMark(
      command: command, file: file, directory: "/home/agent", processID: file.map { _ in 42 })
    return record
  }
}

extension CloseRecord {
  /// The end of a connection to `host`.
  public static func sample(
    _ host: String = "api.example.test", _ port: Port? = .https, flow: UInt64 = 1,
    reason: CloseReason = .finished,
    address: Endpoint? = nil, out: UInt64 = 10, in received: UInt64 = 20, at time: Int64 = someTime + 1000
  ) -> CloseRecord {
    CloseRecord(
      time: Timestamp(milliseconds: time), flow: flow, agent: .default, client: "127.0.0.1:50000",
      destination: (try? Host(host.utf8)).flatMap { host in port.map { Destination(host, $0, .https) } },
      rule: RuleID("test/1"), generation: 7, reason: reason, address: address, bytesOut: out,
      bytesIn: received,
      duration: .milliseconds(1500))
  }
}
