import Audit
import Policy

/// Metrics of a gate and of shipping itself in OTLP's JSON encoding, under the names that Prometheus knows.
///
/// - Source: OpenTelemetry protocol 1.x, `opentelemetry/proto/metrics/v1/metrics.proto`.
struct OTLPMetrics {
  /// When counting began, and when these numbers were true.
  struct Span: Hashable {
    var start: Timestamp
    var end: Timestamp
  }

  private var metrics: [JSONValue] = []
  private let source: ExportSource

  init(from source: ExportSource) { self.source = source }

  /// A request for `/v1/metrics`; nil when there is nothing to say.
  var request: JSONValue? {
    guard !metrics.isEmpty else { return nil }
    let scope = object([
      ("scope", OTLPLogs.scope(named: "exitgate.metrics", source)), ("metrics", .array(metrics)),
    ])
    let resource = object([("resource", OTLPLogs.resource(source)), ("scopeMetrics", .array([scope]))])
    return object([("resourceMetrics", .array([resource]))])
  }

  /// Adds one number that only grows, or may do as it likes.
  mutating func add(_ name: String, _ help: String, _ value: Double, grows: Bool, _ span: Span) {
    let sample = MetricsText.Sample(name: name, labels: [], value: value)
    add(.init(name: name, help: help, kind: grows ? "counter" : "gauge", samples: [sample]), span)
  }

  /// Adds what a gate told; counters began when it started.
  mutating func add(_ page: MetricsText, at now: Timestamp) {
    let uptime = page.families.first { $0.name == "exitgate_uptime_seconds" }?.samples.first?.value ?? 0
    let start = Timestamp(milliseconds: now.milliseconds - Int64(min(max(uptime, 0), 1e9) * 1000))
    for family in page.families { add(family, Span(start: start, end: now)) }
  }

  private mutating func add(_ family: MetricsText.Family, _ span: Span) {
    let points: (String, JSONValue)
    switch family.kind {
    case "counter":
      points = (
        "sum",
        object([
          ("aggregationTemporality", .integer(2)), ("isMonotonic", .bool(true)),
          ("dataPoints", .array(family.samples.map { point($0, span) })),
        ])
      )
    case "gauge": points = ("gauge", object([("dataPoints", .array(family.samples.map { point($0, span) }))]))
    case "histogram":
      points = (
        "histogram",
        object([
          ("aggregationTemporality", .integer(2)), ("dataPoints", .array([histogram(family, span)])),
        ])
      )
    default: return
    }
    metrics.append(
      object([
        ("name", .string(family.name)), ("description", .string(family.help)),
        ("unit", .string(Self.unit(of: family.name))), points,
      ]))
  }

  private func point(_ sample: MetricsText.Sample, _ span: Span) -> JSONValue {
    let isWhole = sample.value == sample.value.rounded() && sample.value.magnitude < 1e15
    return object([
      ("attributes", .array(sample.labels.map { OTLPLogs.attribute($0.name, .string($0.value)) })),
      ("startTimeUnixNano", OTLPLogs.nanoseconds(span.start)),
      ("timeUnixNano", OTLPLogs.nanoseconds(span.end)),
      isWhole ? ("asInt", .string("\(Int64(sample.value))")) : ("asDouble", .number(sample.value)),
    ])
  }

  /// Counts up to each bound become counts between bounds.
  private func histogram(_ family: MetricsText.Family, _ span: Span) -> JSONValue {
    var bounds: [JSONValue] = [], counts: [JSONValue] = [], before = 0.0
    for sample in family.samples where sample.name == family.name + "_bucket" {
      if let bound = sample.labels.first(where: { $0.name == "le" }).flatMap({ Double($0.value) }),
        bound.isFinite
      {
        bounds.append(.number(bound))
      }
      counts.append(.string("\(UInt64(max(0, min(sample.value - before, 1e15))))"))
      before = sample.value
    }
    let total = family.samples.first { $0.name == family.name + "_count" }?.value ?? before
    return object([
      ("startTimeUnixNano", OTLPLogs.nanoseconds(span.start)),
      ("timeUnixNano", OTLPLogs.nanoseconds(span.end)),
      ("count", .string("\(UInt64(max(0, min(total, 1e15))))")),
      ("sum", family.samples.first { $0.name == family.name + "_sum" }.map { .number($0.value) }),
      ("bucketCounts", .array(counts)), ("explicitBounds", .array(bounds)),
    ])
  }

  /// The unit that a name ends in, as UCUM writes it.
  private static func unit(of name: String) -> String {
    let words = name.split(separator: "_")
    if words.contains("seconds") { return "s" }
    return words.contains("bytes") ? "By" : "1"
  }
}
