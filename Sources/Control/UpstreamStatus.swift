import Audit

/// One resolver that is asked, all loops together.
public struct UpstreamStatus: Hashable, Sendable {
  /// Where it is, as `address:port`.
  public var address: String
  /// The name its certificate must be good for; nil where it is asked in the clear.
  public var certificateName: String?
  /// The zone whose names it is asked for; nil for all that no zone holds.
  public var zone: String?
  /// Whether it is asked last, since it did not answer.
  public var isDown: Bool
  /// How long its answers take, the last ones counting most; nil before the first.
  public var latency: Duration?
  /// Queries sent, repetitions included.
  public var queries: UInt64
  /// Of these, without an answer in time.
  public var timeouts: UInt64
  /// Of these, with a connection that failed or an answer that was of no use.
  public var failures: UInt64
  /// Why it failed last, when it has not answered since.
  public var cause: String?

  /// Makes a status.
  public init(
    address: String, certificateName: String? = nil, zone: String? = nil, isDown: Bool = false,
    latency: Duration? = nil, queries: UInt64 = 0, timeouts: UInt64 = 0, failures: UInt64 = 0,
    cause: String? = nil
  ) {
    self.address = address
    self.certificateName = certificateName
    self.zone = zone
    self.isDown = isDown
    self.latency = latency
    self.queries = queries
    self.timeouts = timeouts
    self.failures = failures
    self.cause = cause
  }
}

extension UpstreamStatus {
  var json: JSONValue {
    .object([
      .init("address", text(address)), .init("transport", .string(certificateName == nil ? "plain" : "tls")),
      .init("certificate_name", optional(certificateName)), .init("zone", optional(zone)),
      .init("state", .string(isDown ? "down" : "up")),
      .init("latency_us", latency.map { .integer(microseconds($0)) } ?? .null),
      .init("queries", count(queries)),
      .init("timeouts", count(timeouts)), .init("failures", count(failures)), .init("cause", optional(cause)),
    ])
  }

  init(_ fields: Fields) throws(ControlError) {
    self.init(
      address: try fields.text("address"), certificateName: try fields.text(ifPresent: "certificate_name"),
      zone: try fields.text(ifPresent: "zone"), isDown: try fields.text("state") == "down",
      latency: try fields.number(ifPresent: "latency_us").map(Duration.microseconds),
      queries: try fields.count("queries"), timeouts: try fields.count("timeouts"),
      failures: try fields.count("failures"), cause: try fields.text(ifPresent: "cause"))
  }
}

/// Whole microseconds; an answer takes seconds at most.
private func microseconds(_ duration: Duration) -> Int64 {
  let (seconds, attoseconds) = duration.components
  return seconds &* 1_000_000 &+ attoseconds / 1_000_000_000_000
}
