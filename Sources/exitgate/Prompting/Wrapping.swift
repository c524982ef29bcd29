extension Text {
  /// The text in lines of at most `columns`: nothing is cut off, wherever it would end.
  func wrapped(columns: Int) -> [Text] {
    var lines: [Text] = [], line = Text(""), used = 0
    for (text, style) in pieces {
      var run = String.UnicodeScalarView()
      for scalar in text.unicodeScalars {
        let width = Self.columns(of: scalar)
        if used + width > columns, used > 0 {
          lines.append(line + Text(String(run), style))
          (line, used, run) = (Text(""), 0, String.UnicodeScalarView())
        }
        run.append(scalar)
        used += width
      }
      line = line + Text(String(run), style)
    }
    return lines + [line]
  }

  /// How many columns of a terminal it takes.
  var columns: Int { plain.unicodeScalars.reduce(0) { $0 + Self.columns(of: $1) } }

  /// - Source: Unicode 16, EastAsianWidth (W and F) by block; marks take none.
  private static func columns(of scalar: Unicode.Scalar) -> Int {
    guard scalar.value >= 0x300 else { return 1 }
    switch scalar.properties.generalCategory {
    case .nonspacingMark, .enclosingMark: return 0
    default: break
    }
    let wide: [ClosedRange<UInt32>] = [
      0x1100...0x115f, 0x2e80...0xa4cf, 0xa960...0xa97f, 0xac00...0xd7a3, 0xf900...0xfaff, 0xfe30...0xfe6f,
      0xff00...0xff60, 0xffe0...0xffe6, 0x1f300...0x1faff, 0x20000...0x3fffd,
    ]
    return wide.contains { $0.contains(scalar.value) } ? 2 : 1
  }
}
