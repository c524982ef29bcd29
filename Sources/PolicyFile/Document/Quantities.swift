import Policy

/// A number with a unit behind it: `50MiB`, `8s`.
private func split(_ text: String) -> (number: UInt64, unit: Substring)? {
  let digits = text.utf8.prefix { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
  guard (1...12).contains(digits.count), let number = UInt64(text[..<digits.endIndex]) else { return nil }
  guard digits.count == 1 || digits.first != UInt8(ascii: "0") else { return nil }
  return (number, text[digits.endIndex...])
}

/// Reads a size in bytes: `512B`, `4KiB`, `50MiB`, `2GiB`, `1TiB`.
///
/// - Source: IEC 80000-13 (binary prefixes); the decimal ones are refused, so
///   that nobody must guess which is meant.
func parseSize(_ text: String) -> UInt64? {
  guard let (number, unit) = split(text) else { return nil }
  let units: [Substring: UInt64] = ["B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40]
  guard let scale = units[unit] else { return nil }
  let (product, overflow) = number.multipliedReportingOverflow(by: scale)
  return overflow ? nil : product
}

/// Reads a duration: `500ms`, `8s`, `15m`, `1h`, `30d`; `Limits.longestDuration` at most.
func parseDuration(_ text: String) -> Duration? {
  guard let (number, unit) = split(text) else { return nil }
  let units: [Substring: UInt64] = ["ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000]
  guard let scale = units[unit] else { return nil }
  let (product, overflow) = number.multipliedReportingOverflow(by: scale)
  guard !overflow, Duration.milliseconds(product) <= Limits.longestDuration else { return nil }
  return .milliseconds(product)
}

extension Scope {
  func size(_ node: Node, _ what: String) -> UInt64? {
    if case .text(let text) = node.scalar, let size = parseSize(text), size > 0 { return size }
    wrongType(node, what, "a size such as 50MiB, with B, KiB, MiB, GiB or TiB, or none")
    return nil
  }

  func duration(_ node: Node, _ what: String, mayBeZero: Bool = false) -> Duration? {
    if case .text(let text) = node.scalar, let duration = parseDuration(text), mayBeZero || duration > .zero {
      return duration
    }
    wrongType(node, what, "a duration such as 8s, with ms, s, m, h or d")
    return nil
  }
}
