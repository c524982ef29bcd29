import Addressing
import Policy

/// Turns records into one line each for people to read.
///
/// Every byte that leaves is printable ASCII but for the colours, whatever the
/// record holds.
public struct TailFormat: Sendable {
  /// Whether verdicts are coloured (ECMA-48 SGR).
  public var isColoured: Bool

  /// Takes the choice that the caller made: a terminal, and no `NO_COLOR`.
  public init(isColoured: Bool) {
    self.isColoured = isColoured
  }

  /// One line without its end.
  public func line(for record: LogRecord) -> String {
    let time = record.time?.description ?? "-"
    return ([time, word(for: record)] + fields(of: record).map(printable)).joined(separator: "  ")
  }

  private func word(for record: LogRecord) -> String {
    let word =
      record.wouldDeny
      ? "would-deny" : record.isAlert ? "alert" : record.verdict?.rawValue ?? record.event ?? "?"
    let padded = printable(word) + String(repeating: " ", count: max(0, 10 - word.utf8.count))
    guard isColoured, let colour = colour(of: record) else { return padded }
    return "\u{1b}[\(colour)m\(padded)\u{1b}[0m"
  }

  /// The SGR parameter: red, yellow, green.
  private func colour(of record: LogRecord) -> Int? {
    switch (record.verdict, record.wouldDeny || record.isAlert) {
    case (.deny, _): 31
    case (_, true), (.ask, _): 33
    case (.allow, false): 32
    default: nil
    }
  }

  private func fields(of record: LogRecord) -> [String] {
    switch record.event {
    case "decision", "rollup": decision(record)
    case "close": close(record)
    case "policy": policy(record)
    case "control":
      [record.json["api"]?["operation"]?.text, record.ownText("subject"), record.ownText("refusal")]
        .compactMap(\.self)
    default: [record.ownText("detail")].compactMap(\.self)
    }
  }

  private func decision(_ record: LogRecord) -> [String] {
    [
      record.agent, destination(of: record), record.reason, record.layer?.rawValue, record.rule,
      record.answer, record.address.map { "at \($0)" }, record.ownText("method"),
      record.client.map { "from \($0)" },
      record.count > 1 ? "\(record.count) times" : nil, record.ownText("detail"),
    ].compactMap(\.self)
  }

  private func close(_ record: LogRecord) -> [String] {
    [
      record.agent, destination(of: record), record.reason, "\(record.bytesOut) out", "\(record.bytesIn) in",
      record.duration.map { "\($0) ms" }, record.client.map { "from \($0)" },
    ].compactMap(\.self)
  }

  private func policy(_ record: LogRecord) -> [String] {
    [
      record.ownText("outcome"), record.generation.map { "generation \($0)" }, record.ownText("mode"),
      record.ownText("error"),
    ].compactMap(\.self)
  }

  private func destination(of record: LogRecord) -> String? {
    guard record.layer == .dns else { return record.destination?.description ?? raw(record) }
    let name = record.destination.map { "\($0.host)" } ?? raw(record)
    return [name, record.recordType].compactMap(\.self).joined(separator: " ")
  }

  private func raw(_ record: LogRecord) -> String? {
    record.ownText("host_raw").map { "\"\($0)\"" }
  }

  /// Escapes what is not printable ASCII as `\u{N}`.
  private func printable(_ text: String) -> String {
    if text.utf8.allSatisfy(isPrintable) { return text }
    return text.unicodeScalars.map { scalar in
      UInt8(exactly: scalar.value).map(isPrintable) == true
        ? String(scalar) : "\\u{\(String(scalar.value, radix: 16))}"
    }.joined()
  }
}
