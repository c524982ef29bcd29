/// Text made fit for a terminal: whatever could break a line, move the cursor,
/// turn the writing direction or hide itself is shown as `\u{…}`.
///
/// Everything that is printed passes here, whoever it comes from.
///
/// - Source: Unicode 16, general categories Cc, Cf, Cs, Co, Cn, Zl and Zp;
///   for terminals ECMA-48 §5.3 (C0, C1).
func printable(_ text: some StringProtocol) -> String {
  guard !text.utf8.allSatisfy({ $0 >= 0x20 && $0 < 0x7f }) else { return String(text) }
  var shown = ""
  for scalar in text.unicodeScalars {
    if isHarmless(scalar) {
      shown.unicodeScalars.append(scalar)
    } else {
      shown += escape(scalar)
    }
  }
  return shown
}

/// A scalar as `\u{…}`.
func escape(_ scalar: Unicode.Scalar) -> String {
  "\\u{\(String(scalar.value, radix: 16))}"
}

private func isHarmless(_ scalar: Unicode.Scalar) -> Bool {
  switch scalar.properties.generalCategory {
  case .control, .format, .surrogate, .privateUse, .unassigned, .lineSeparator, .paragraphSeparator: false
  default: !scalar.properties.isDefaultIgnorableCodePoint
  }
}
