/// A row of a table for spreadsheets, without its line end.
///
/// A cell that a spreadsheet would take for a formula gets an apostrophe before it, and what is not printable ASCII
/// is escaped as everywhere, so that a host's name stays text (CWE-1236).
///
/// - Source: RFC 4180.
func csvRow(_ cells: [String]) -> String {
  cells.map(csvCell).joined(separator: ",")
}

private func csvCell(_ text: String) -> String {
  let plain = text.unicodeScalars.map { $0.isASCII ? printable(String($0)) : escape($0) }.joined()
  let isFormula = plain.utf8.first.map { "=+-@|%".utf8.contains($0) } ?? false
  let safe = isFormula ? "'" + plain : plain
  guard safe.utf8.contains(where: { ",\"".utf8.contains($0) }) else { return safe }
  return "\"" + safe.replacing("\"", with: "\"\"") + "\""
}
