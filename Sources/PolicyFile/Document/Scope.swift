/// Reads values out of one file's tree and reports those that do not fit.
struct Scope {
  /// How diagnostics name the file.
  let file: String
  let sink: DiagnosticSink
  /// What is not to be shown of the file.
  var veil = Veil.none

  func error(_ mark: Mark, _ cause: String, _ remedy: String) {
    report(mark, cause, remedy, isWarning: false)
  }

  func warn(_ mark: Mark, _ cause: String, _ remedy: String) {
    report(mark, cause, remedy, isWarning: true)
  }

  private func report(_ mark: Mark, _ cause: String, _ remedy: String, isWarning: Bool) {
    sink.add(
      Diagnostic(
        file: file, line: mark.line, column: mark.column, cause: veil.cover(cause, at: mark),
        remedy: veil.cover(remedy, at: mark), isWarning: isWarning))
  }

  /// Reports that `node` has the wrong type; `example` is what to write.
  func wrongType(_ node: Node, _ what: String, _ example: String) {
    error(node.mark, "\(what) is \(found(node))", "Write \(example)")
  }

  /// Text, or nil after a report. Empty text is no text.
  func text(_ node: Node, _ what: String, example: String) -> String? {
    switch node.scalar {
    case .text(let text) where !text.isEmpty: return text
    case .integer, .fraction, .boolean:
      guard case .scalar(let text, _) = node.content else { return nil }
      wrongType(node, what, "\(example); a text that looks like this one needs quotes: \"\(text)\"")
    default: wrongType(node, what, example)
    }
    return nil
  }

  /// A whole number in `range`, or nil after a report.
  func integer(_ node: Node, _ what: String, in range: ClosedRange<Int>) -> Int? {
    if case .integer(let number?) = node.scalar, range.contains(number) {
      return plainDecimal(number, node, what)
    }
    if case .text(let text) = node.scalar, let number = Int(text), range.contains(number) {
      wrongType(node, what, "\(number) without quotes")
    } else {
      wrongType(node, what, "a whole number from \(range.lowerBound) to \(range.upperBound)")
    }
    return nil
  }

  /// A number that is spelled in decimal digits alone, or nil after a report.
  func plainDecimal<Number>(_ number: Number, _ node: Node, _ what: String) -> Number? {
    if node.isPlainDecimal { return number }
    wrongType(node, what, "\(number), in decimal digits alone, if that is meant")
    return nil
  }

  /// `true` or `false`, or nil after a report.
  func boolean(_ node: Node, _ what: String) -> Bool? {
    if case .boolean(let value) = node.scalar { return value }
    wrongType(node, what, "true or false")
    return nil
  }

  /// The items of a list, or nil after a report.
  func items(_ node: Node, _ what: String, example: String, mayBeEmpty: Bool = false) -> [Node]? {
    guard case .sequence(let items) = node.content else {
      wrongType(node, what, "a list such as \(example)")
      return nil
    }
    guard mayBeEmpty || !items.isEmpty else {
      error(node.mark, "\(what) is an empty list", "Write at least one item, such as \(example)")
      return nil
    }
    return items
  }

  /// One of a few words, or nil after a report.
  func choice<Word: RawRepresentable<String>>(_ node: Node, _ what: String, from words: [Word]) -> Word? {
    let names = words.map(\.rawValue)
    guard case .text(let text) = node.scalar else {
      wrongType(node, what, oneOf(names))
      return nil
    }
    if let word = words.first(where: { $0.rawValue == text }) { return word }
    error(node.mark, "\(what) cannot be \(quoted(text))", "Write \(suggestion(for: text, from: names))")
    return nil
  }
}

/// Names what stands where something else belongs.
func found(_ node: Node) -> String {
  switch node.content {
  case .sequence: return "a list"
  case .mapping: return "a mapping"
  case .scalar(let text, _):
    return switch node.scalar {
    case .null, nil: "empty"
    case .boolean(let value): "\(value)"
    case .integer, .fraction: "the number \(quoted(text))"
    case .text: text.isEmpty ? "empty" : "the text \(quoted(text))"
    }
  }
}

/// `a, b or c`.
func oneOf(_ words: [String]) -> String {
  guard let last = words.last, words.count > 1 else { return words.first ?? "" }
  return words.dropLast().joined(separator: ", ") + " or " + last
}

/// `nearest`, and what else is expected.
func suggestion(for text: String, from words: [String]) -> String {
  guard let near = nearest(to: text, in: words) else { return oneOf(words) }
  let others = words.filter { $0 != near }
  return others.isEmpty ? "'\(near)'" : "'\(near)', or else \(oneOf(others))"
}
