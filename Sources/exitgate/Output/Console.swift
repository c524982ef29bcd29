import Audit
import Glibc

/// Where a command's results and words go: results to standard output, words to
/// standard error, colour only on a terminal and never with `NO_COLOR`.
///
/// - Source: no-color.org.
final class Console {
  private let colourOut: Bool
  private let colourError: Bool
  private var pending: [UInt8] = []
  /// Whether results are kept for a pager.
  private var isHolding = false
  /// In bytes; results are written in pieces of about this size.
  private static let flushAt = 65_536

  init(environment: [String: String]) {
    let wanted = (environment["NO_COLOR"] ?? "").isEmpty && environment["TERM"] != "dumb"
    colourOut = wanted && isatty(STDOUT_FILENO) == 1
    colourError = wanted && isatty(STDERR_FILENO) == 1
  }

  deinit { flush() }

  /// A line of the result.
  func result(_ line: Text) {
    append(colourOut ? line.coloured : line.plain)
    append("\n")
  }

  /// A line of the result that `TailFormat` makes for a record; it lets nothing but
  /// printable ASCII and its own colours through.
  func result(_ record: LogRecord) {
    append(TailFormat(isColoured: colourOut).line(for: record) + "\n")
  }

  /// A result of several lines of which every control byte but the newline and
  /// the tab is escaped.
  func result(lines text: String) {
    var lines = text.unicodeScalars.split(separator: "\n", omittingEmptySubsequences: false)
    if lines.last?.isEmpty == true { lines.removeLast() }
    for line in lines {
      append(
        line.split(separator: "\t", omittingEmptySubsequences: false).map { printable(String($0)) }.joined(
          separator: "\t"))
      append("\n")
    }
  }

  /// A row of a table for spreadsheets; its line ends as RFC 4180 §2 has it.
  func result(cells: [String]) {
    append(csvRow(cells) + "\r\n")
  }

  /// A result as one line of JSON.
  func result(_ json: JSONValue) {
    var writer = JSONWriter()
    writer.value(json)
    pending += writer.bytes
    append("\n")
  }

  /// A line for the person in front of the screen.
  func say(_ line: Text) {
    flush()
    writeAll(Array(((colourError ? line.coloured : line.plain) + "\n").utf8), to: STDERR_FILENO)
  }

  /// Hands everything over to the kernel. A reader that went away ends the
  /// process by SIGPIPE; any other failure ends it here, since a result that
  /// nobody got must not look like one.
  func flush() {
    guard !pending.isEmpty else { return }
    let bytes = pending
    pending = []
    guard writeAll(bytes, to: STDOUT_FILENO) else {
      writeAll(Array("exitgate: standard output cannot be written.\n".utf8), to: STDERR_FILENO)
      exit(EX_IOERR)
    }
  }

  private func append(_ text: String) {
    pending += text.utf8
    if pending.count >= Self.flushAt, !isHolding { flush() }
  }

  /// Has the results of `work` shown by a pager where they are longer than the screen. What a pager may not have
  /// shown is written as it is, so none of it is lost.
  func paged(by pager: Pager?, _ work: () -> Void) {
    guard let pager else { return work() }
    flush()
    isHolding = true
    work()
    isHolding = false
    guard Pager.isNeeded(for: pending) else { return flush() }
    let bytes = pending
    pending = []
    guard let failure = pager.show(bytes) else { return }
    pending = bytes
    say(
      "exitgate: the pager '\(Text(pager.command))' failed: \(failure). Here is what it was to show, as with --no-pager."
    )
  }
}

/// Writes every byte, however often it takes; false when that fails.
@discardableResult
func writeAll(_ bytes: [UInt8], to descriptor: Int32) -> Bool {
  var rest = bytes[...]
  while !rest.isEmpty {
    let count = rest.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
    if count < 0, errno == EINTR { continue }
    guard count > 0 else { return false }
    rest = rest.dropFirst(count)
  }
  return true
}
