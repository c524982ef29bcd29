/// Metrics as a gate tells them: Prometheus's text format, as much of it as the gate writes.
///
/// - Source: Prometheus, "Exposition formats", text format 0.0.4.
struct MetricsText {
  /// One series at one moment.
  struct Sample: Hashable {
    var name: String
    var labels: [Label]
    var value: Double
  }

  /// A label.
  struct Label: Hashable {
    var name: String
    var value: String
  }

  /// What is told of one thing.
  struct Family: Hashable {
    var name: String
    var help = ""
    var kind = ""
    var samples: [Sample] = []
  }

  /// In the order of the text.
  private(set) var families: [Family] = []

  /// Reads a page; lines of another form are passed over.
  init(_ bytes: [UInt8]) {
    for line in bytes.split(separator: UInt8(ascii: "\n")) {
      if line.first == UInt8(ascii: "#") {
        takeComment(String(decoding: line, as: UTF8.self))
      } else if let sample = Self.sample(Array(line)) {
        take(sample)
      }
    }
  }

  private mutating func takeComment(_ line: String) {
    let words = line.split(separator: " ", maxSplits: 3).map(String.init)
    guard words.count == 4 else { return }
    if families.last?.name != words[2] { families.append(Family(name: words[2])) }
    switch words[1] {
    case "HELP": families[families.count - 1].help = words[3]
    case "TYPE": families[families.count - 1].kind = words[3]
    default: break
    }
  }

  private mutating func take(_ sample: Sample) {
    guard let name = families.last?.name, sample.name.utf8.starts(with: name.utf8) else { return }
    families[families.count - 1].samples.append(sample)
  }

  /// `name{label="value",…} number`.
  private static func sample(_ line: [UInt8]) -> Sample? {
    guard let space = line.lastIndex(of: UInt8(ascii: " ")),
      let value = Double(String(decoding: line[(space + 1)...], as: UTF8.self)), value.isFinite
    else { return nil }
    let series = line[..<space]
    guard let brace = series.firstIndex(of: UInt8(ascii: "{")) else {
      return Sample(name: String(decoding: series, as: UTF8.self), labels: [], value: value)
    }
    guard series.last == UInt8(ascii: "}"), let labels = labels(series[(brace + 1)...].dropLast()) else {
      return nil
    }
    return Sample(name: String(decoding: series[..<brace], as: UTF8.self), labels: labels, value: value)
  }

  private static func labels(_ bytes: ArraySlice<UInt8>) -> [Label]? {
    var rest = bytes, labels: [Label] = []
    while !rest.isEmpty {
      guard let equals = rest.firstIndex(of: UInt8(ascii: "=")),
        rest.dropFirst(equals + 1 - rest.startIndex).first == UInt8(ascii: "\"")
      else { return nil }
      let name = String(decoding: rest[..<equals], as: UTF8.self)
      rest = rest[(equals + 2)...]
      guard let value = quoted(&rest) else { return nil }
      labels.append(Label(name: name, value: value))
      if rest.first == UInt8(ascii: ",") { rest.removeFirst() }
    }
    return labels
  }

  /// Takes text up to the closing quote, which goes too; `\\`, `\"` and `\n` are the escapes.
  private static func quoted(_ rest: inout ArraySlice<UInt8>) -> String? {
    var text: [UInt8] = []
    while let byte = rest.popFirst() {
      if byte == UInt8(ascii: "\"") { return String(decoding: text, as: UTF8.self) }
      guard byte == UInt8(ascii: "\\") else {
        text.append(byte)
        continue
      }
      guard let escaped = rest.popFirst() else { return nil }
      text.append(escaped == UInt8(ascii: "n") ? UInt8(ascii: "\n") : escaped)
    }
    return nil
  }
}
