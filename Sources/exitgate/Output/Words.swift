import Glibc
import Policy

/// `1 rule`, `2 rules`.
func count(_ number: some BinaryInteger, _ noun: String) -> String {
  "\(number) \(noun)\(number == 1 ? "" : "s")"
}

/// Bytes in binary units with one decimal: `1.5 GiB`.
func size(_ bytes: UInt64) -> String {
  var rest = Double(bytes), unit = "B"
  for next in ["KiB", "MiB", "GiB", "TiB", "PiB"] where rest >= 1024 {
    (rest, unit) = (rest / 1024, next)
  }
  guard unit != "B" else { return "\(bytes) B" }
  let tenths = Int((rest * 10).rounded())
  return "\(tenths / 10).\(tenths % 10) \(unit)"
}

/// A duration in its two largest units: `3d 4h`, `12m 5s`, `7s`.
func span(_ duration: Duration) -> String {
  let seconds = max(0, duration.components.seconds)
  let parts = [
    (seconds / 86_400, "d"), (seconds / 3600 % 24, "h"), (seconds / 60 % 60, "m"), (seconds % 60, "s"),
  ]
  let shown = parts.drop { $0.0 == 0 }.prefix(2)
  return shown.isEmpty ? "0s" : shown.map { "\($0.0)\($0.1)" }.joined(separator: " ")
}

/// What the clock on the wall says (clock_gettime(2), CLOCK_REALTIME).
func wallClock() -> Timestamp {
  var time = timespec()
  clock_gettime(CLOCK_REALTIME, &time)
  return Timestamp(milliseconds: Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000)
}

/// Rows as columns, each as wide as its widest cell.
func table(_ rows: [[Text]], indent: String = "") -> [Text] {
  let columns = rows.map(\.count).max() ?? 0
  let widths = (0..<columns).map { column in
    rows.map { $0.indices.contains(column) ? $0[column].width : 0 }.max() ?? 0
  }
  return rows.map { row in
    let last = row.lastIndex { !$0.plain.isEmpty } ?? -1
    return row.prefix(last + 1).enumerated().reduce(Text(indent)) { line, cell in
      let gap = cell.offset == last ? 0 : widths[cell.offset] - cell.element.width + 2
      return line + cell.element + Text(String(repeating: " ", count: gap))
    }
  }
}
