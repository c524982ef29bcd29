import Policy

/// The text of a policy file, to which lists and rules can be added while every byte of it stays.
public struct PolicyText: Sendable {
  /// In bytes: a larger file is no policy.
  public static let sizeLimit = Composer.sizeLimit

  /// The text.
  public let text: String
  private let path: String
  private let entries: [Entry]

  /// Reads the file at `path`, which must be a policy.
  ///
  /// - Throws: Every error at once; includes are not read.
  public init(path: String, with loader: PolicyLoader) throws(PolicyFileError) {
    let run = LoadRun(loader), scope = Scope(file: path, sink: run.sink)
    self.path = path
    do throws(SafeFileError) {
      text = String(decoding: try SafeFile.read(path).bytes, as: UTF8.self)
    } catch {
      throw PolicyFileError(diagnostics: [
        Diagnostic(file: path, line: 1, column: 1, cause: error.cause, remedy: error.remedy)
      ])
    }
    let root = Composer(file: path, sink: run.sink, showsKeys: true).compose(Array(text.utf8))
    if let root {
      _ = Fields(root, in: scope, of: "a policy", keys: DocumentReader.keys, example: "version: 1")
    }
    try run.sink.check()
    guard case .mapping(let entries)? = root?.content else {
      throw Self.unfit(path, .start, "the file is no policy")
    }
    self.entries = entries
  }

  /// The text with lists and rules added behind those that are there.
  ///
  /// - Parameters:
  ///   - includes: `builtin:npm` and the like.
  ///   - rules: Each as lines of a block mapping's item, the first beginning with `- `, comments before it.
  /// - Throws: Where the file is written in a way that leaves no place for them.
  public func adding(includes: [String], rules: [[String]]) throws(PolicyFileError) -> String {
    var edit = TextEdit(text)
    if !rules.isEmpty { try add(rules, to: &edit) }
    if !includes.isEmpty { try add(includes, to: &edit) }
    return edit.text
  }

  private func add(_ rules: [[String]], to edit: inout TextEdit) throws(PolicyFileError) {
    guard let entry = entries.first(where: { $0.key == "rules" }) else {
      edit.append(["rules:"] + rules.flatMap(\.self).map { "  " + $0 })
      return
    }
    guard case .sequence(let items) = entry.value.content else {
      guard entry.value.scalar == .null else { throw unfit(entry.mark, "'rules' is no list") }
      edit.insert(rules.flatMap(\.self).map { "  " + $0 }, afterLine: entry.mark.line)
      return
    }
    guard let first = items.first else {
      guard edit.replaceEmptyList(at: entry.value.mark, with: "") else {
        throw unfit(entry.value.mark, "'rules' is written in brackets")
      }
      return edit.insert(rules.flatMap(\.self).map { "  " + $0 }, afterLine: entry.mark.line)
    }
    guard let indent = edit.dashIndent(ofLine: first.mark.line), first.mark.line > entry.mark.line else {
      throw unfit(entry.value.mark, "'rules' is written in brackets")
    }
    let last = edit.lastLine(ofListAt: first.mark.line, before: nextLine(after: entry), indent: indent)
    edit.insert(
      rules.flatMap(\.self).map { String(repeating: " ", count: indent) + $0 }, afterLine: last)
  }

  private func add(_ includes: [String], to edit: inout TextEdit) throws(PolicyFileError) {
    guard let entry = entries.first(where: { $0.key == "include" }) else {
      let line = entries.first { $0.key == "version" }?.mark.line ?? 0
      return edit.insert(["include: [\(includes.joined(separator: ", "))]"], afterLine: line)
    }
    guard case .sequence(let items) = entry.value.content else {
      throw unfit(entry.mark, "'include' is no list")
    }
    guard let last = items.last else {
      guard edit.replaceEmptyList(at: entry.value.mark, with: "[\(includes.joined(separator: ", "))]") else {
        throw unfit(entry.value.mark, "'include' has no place for more")
      }
      return
    }
    if let indent = edit.dashIndent(ofLine: last.mark.line), last.mark.line > entry.mark.line {
      return edit.insert(
        includes.map { String(repeating: " ", count: indent) + "- " + $0 }, afterLine: last.mark.line)
    }
    guard case .scalar(let text, let isPlain) = last.content else {
      throw unfit(last.mark, "'include' holds no text")
    }
    edit.insert(
      includes.map { ", " + $0 }.joined(), atLine: last.mark.line,
      column: last.mark.column + text.unicodeScalars.count + (isPlain ? 0 : 2))
  }

  /// The line of the next key of the file; nil for the last.
  private func nextLine(after entry: Entry) -> Int? {
    entries.map(\.mark.line).filter { $0 > entry.mark.line }.min()
  }

  private func unfit(_ mark: Mark, _ cause: String) -> PolicyFileError { Self.unfit(path, mark, cause) }

  private static func unfit(_ path: String, _ mark: Mark, _ cause: String) -> PolicyFileError {
    PolicyFileError(diagnostics: [
      Diagnostic(
        file: path, line: mark.line, column: mark.column, cause: cause + ", so nothing can be added to it",
        remedy: "Write each entry on lines of its own, beginning with '- '")
    ])
  }
}

/// Lines into which others are put.
private struct TextEdit {
  private var lines: [String]
  /// What is put behind each line, counted from 1; 0 is the beginning.
  private var additions: [Int: [String]] = [:]
  private let endsWithNewline: Bool

  init(_ text: String) {
    endsWithNewline = text.utf8.last == UInt8(ascii: "\n")
    // By scalars: CR LF is one Character.
    var lines = text.unicodeScalars.split(separator: "\n", omittingEmptySubsequences: false).map {
      String($0)
    }
    if endsWithNewline { lines.removeLast() }
    self.lines = lines
  }

  var text: String {
    var all = additions[0] ?? []
    for (place, line) in lines.enumerated() {
      all.append(line)
      all += additions[place + 1] ?? []
    }
    let isLastAdded = additions[lines.count] != nil
    return all.joined(separator: "\n") + (endsWithNewline || isLastAdded ? "\n" : "")
  }

  mutating func insert(_ new: [String], afterLine line: Int) { additions[line, default: []] += new }

  mutating func append(_ new: [String]) { insert(new, afterLine: lines.count) }

  mutating func insert(_ text: String, atLine line: Int, column: Int) {
    let old = Array(lines[line - 1].unicodeScalars), place = min(max(0, column - 1), old.count)
    var new = String.UnicodeScalarView(old[..<place])
    new.append(contentsOf: text.unicodeScalars)
    new.append(contentsOf: old[place...])
    lines[line - 1] = String(new)
  }

  /// How far a list's dash is indented, if the line begins with one.
  func dashIndent(ofLine line: Int) -> Int? {
    let text = lines[line - 1], spaces = text.prefix { $0 == " " }.count
    return text.dropFirst(spaces).hasPrefix("-") ? spaces : nil
  }

  /// Takes `[]` away; false where something else stands there.
  mutating func replaceEmptyList(at mark: Mark, with new: String) -> Bool {
    let line = lines[mark.line - 1], start = line.unicodeScalars.prefix(mark.column - 1)
    let rest = line.unicodeScalars.dropFirst(mark.column - 1)
    guard rest.starts(with: "[]".unicodeScalars) else { return false }
    lines[mark.line - 1] = String(start) + new + String(rest.dropFirst(2))
    return true
  }

  /// The last line that belongs to a list: what is blank, ends the document, or is a comment further out stands
  /// for what follows.
  func lastLine(ofListAt first: Int, before next: Int?, indent: Int) -> Int {
    var line = next.map { $0 - 1 } ?? lines.count
    while line > first {
      let text = lines[line - 1], spaces = text.prefix { $0 == " " }.count, content = text.dropFirst(spaces)
      let isComment = content.hasPrefix("#") && (spaces < indent || indent == 0)
      let isMarker = text.hasPrefix("...") || text.hasPrefix("---")
      guard content.allSatisfy({ $0 == "\r" || $0 == "\t" }) || isComment || isMarker else { break }
      line -= 1
    }
    return line
  }
}
