/// Metrics as Prometheus reads them.
///
/// - Source: Prometheus, "Exposition formats", text format 0.0.4; "Metric and label naming".
struct Exposition {
  /// The media type.
  static let type = "text/plain; version=0.0.4; charset=utf-8"

  private(set) var text = ""

  enum Kind: String {
    case counter, gauge, histogram
  }

  /// One series of a family.
  struct Sample {
    var labels: [(String, String)]
    var value: Double

    init(_ value: some BinaryInteger, _ labels: (String, String)...) {
      (self.value, self.labels) = (Double(value), labels)
    }

    init(_ value: Double, _ labels: (String, String)...) {
      (self.value, self.labels) = (value, labels)
    }
  }

  /// Adds a family; one without samples is left out.
  ///
  /// - Parameters:
  ///   - name: Without the `exitgate_` that all begin with.
  ///   - help: One sentence.
  mutating func add(_ name: String, _ kind: Kind, _ help: String, _ samples: [Sample]) {
    guard !samples.isEmpty else { return }
    begin(name, kind, help)
    for sample in samples { line(name, sample.labels, sample.value) }
  }

  mutating func add(_ name: String, _ kind: Kind, _ help: String, _ value: some BinaryInteger) {
    add(name, kind, help, [Sample(value)])
  }

  /// Adds a histogram of seconds.
  mutating func add(_ name: String, _ help: String, _ histogram: Histogram) {
    begin(name, .histogram, help)
    var sum: UInt64 = 0
    for (bound, count) in zip(Histogram.bounds, histogram.counts.isEmpty ? Self.zeros : histogram.counts) {
      sum += count
      line(name + "_bucket", [("le", "\(bound)")], Double(sum))
    }
    line(name + "_bucket", [("le", "+Inf")], Double(histogram.count))
    line(name + "_sum", [], histogram.sum)
    line(name + "_count", [], Double(histogram.count))
  }

  private static let zeros = Histogram.bounds.map { _ in UInt64(0) }

  private mutating func begin(_ name: String, _ kind: Kind, _ help: String) {
    text += "# HELP exitgate_\(name) \(help)\n# TYPE exitgate_\(name) \(kind.rawValue)\n"
  }

  private mutating func line(_ name: String, _ labels: [(String, String)], _ value: Double) {
    let braces =
      labels.isEmpty ? "" : "{" + labels.map { "\($0)=\"\(Self.escaped($1))\"" }.joined(separator: ",") + "}"
    let whole = value == value.rounded() && value.magnitude < 1e15
    text += "exitgate_\(name)\(braces) \(whole ? "\(Int64(value))" : "\(value)")\n"
  }

  private static func escaped(_ value: String) -> String {
    value.reduce(into: "") { text, character in
      switch character {
      case "\\": text += "\\\\"
      case "\"": text += "\\\""
      case "\n": text += "\\n"
      default: text.append(character)
      }
    }
  }
}
