/// Text in configuration files is taken apart at ASCII blanks and line feeds
/// alone: Swift's own notions of white space and newline know more, and what
/// this list splits must be what the package manager splits.

/// The lines of a text, without a carriage return at their end; none without a text.
func lines(of text: String?) -> [Substring] {
  (text?.unicodeScalars.split(separator: "\n", omittingEmptySubsequences: false) ?? []).map { line in
    Substring(line.last == "\r" ? line.dropLast() : line)
  }
}

/// The words of a text.
func words(of text: some StringProtocol) -> [Substring] {
  Substring(text).unicodeScalars.split(whereSeparator: isBlank).map { Substring($0) }
}

/// Without blanks at both ends.
func trimmed(_ text: Substring) -> Substring {
  let start = text.unicodeScalars.drop(while: isBlank)
  let end = start.lastIndex { !isBlank($0) }
  return end.map { Substring(start[...$0]) } ?? ""
}

/// Without a pair of quotes around it.
func unquoted(_ text: Substring) -> String {
  guard text.utf8.count >= 2, let quote = text.first, quote == "\"" || quote == "'", text.last == quote else {
    return String(text)
  }
  return String(text.dropFirst().dropLast())
}

/// Whether a file's name ends in `.type`.
func hasType(_ name: String, _ type: String) -> Bool {
  name.utf8.reversed().starts(with: ("." + type).utf8.reversed())
}

/// Space, tab, line feed or carriage return.
func isBlank(_ scalar: Unicode.Scalar) -> Bool {
  scalar == " " || scalar == "\t" || scalar == "\n" || scalar == "\r"
}
