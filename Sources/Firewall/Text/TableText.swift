extension Table {
  /// The table in the language of nft(8), as `nft -f` loads it.
  public var text: String {
    var lines = ["table \(name) {"]
    for set in sets { lines += set.lines.map { "  " + $0 } }
    lines += counters.map { "  counter \($0) { }" }
    for chain in chains {
      if lines.count > 1 { lines.append("") }
      lines += chain.lines.map { "  " + $0 }
    }
    return (lines + ["}"]).joined(separator: "\n") + "\n"
  }
}

extension NFSet {
  /// One line, or several when there are elements.
  fileprivate var lines: [String] {
    var parts = ["type \(typeText);"]
    let flags = [(hasTimeout, "timeout"), (isInterval, "interval")].filter(\.0).map(\.1)
    if !flags.isEmpty { parts.append("flags \(flags.joined(separator: ","));") }
    if let size { parts.append("size \(size);") }
    let head = "\(data == nil ? "set" : "map") \(name) { \(parts.joined(separator: " "))"
    guard !elements.isEmpty else { return [head + " }"] }
    let rows = elements.map(\.text).chunked(by: isInterval ? 6 : 8).map { $0.joined(separator: ", ") }
    guard rows.count > 1 else { return ["\(head) elements = { \(rows[0]) } }"] }
    return [head, "  elements = {"] + rows.map { "    \($0)," } + ["  }", "}"]
  }

  private var typeText: String {
    let keyText = key.map(\.text).joined(separator: " . ")
    return data.map { "\(keyText) : \($0.text)" } ?? keyText
  }
}

extension Element {
  fileprivate var text: String {
    let keyText = key.map(\.description).joined(separator: " . ")
    let timeoutText = timeout.map { " timeout \($0.milliseconds)ms" } ?? ""
    return keyText + timeoutText + (data.map { " : \($0)" } ?? "")
  }
}

extension Chain {
  fileprivate var lines: [String] {
    (note.map { ["# \($0)"] } ?? []) + ["chain \(name) {"] + (base.map { ["  \($0.text)"] } ?? [])
      + rules.map { "  \($0.text)" } + ["}"]
  }
}

extension Chain.Base {
  fileprivate var text: String {
    let place = device.map { "\(hook.rawValue) device \"\($0)\"" } ?? hook.rawValue
    let order = priority == 0 ? "filter" : String(priority)
    return "type \(type.rawValue) hook \(place) priority \(order); policy \(policy.rawValue);"
  }
}

extension Rule {
  /// The rule on one line, as nft(8) reads it.
  public var text: String {
    let words = expressions.map(\.text).joined(separator: " ")
    return comment.map { "\(words) comment \"\($0)\"" } ?? words
  }
}

extension Duration {
  /// Whole milliseconds, at least 1.
  var milliseconds: UInt64 {
    let (seconds, attoseconds) = components
    return UInt64(max(1, seconds * 1000 + attoseconds / 1_000_000_000_000_000))
  }
}

extension Array {
  /// The elements in runs of at most `length`.
  func chunked(by length: Int) -> [[Element]] {
    stride(from: 0, to: count, by: length).map { Array(self[$0..<Swift.min($0 + length, count)]) }
  }
}
