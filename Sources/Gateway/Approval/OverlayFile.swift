import Glibc
import Policy
import PolicyFile

/// Why the overlay does not take a change. Nothing is changed then, unless that is what it says.
struct OverlayError: Error, Hashable, Sendable, CustomStringConvertible {
  var description: String
  /// Whether it may go soon: another process is changing the file.
  var isBusy = false
  /// Whether whoever wants it may not.
  var isForbidden = false
  /// Whether what does not count stands in the file.
  var isLeft = false

  /// With a stop.
  var sentence: String { description.utf8.last == UInt8(ascii: ".") ? description : "\(description)." }
}

/// The file of what people answered for good: a policy that exitgate writes and people may read and change.
///
/// Each change reads the file, is read again as the whole that it makes, and takes the file's place at once. Nothing
/// waits for another process: who changes the file at the same time is told that it is busy.
struct OverlayFile {
  private let path: String
  private let reader: PolicyLoader
  private var file: RuleFile { RuleFile(path) }

  private static let beginning = """
    # What people answered for good. A rule here speaks only where the policy says 'ask'.
    # exitgate writes it; 'exitgate revoke ID' takes a rule out again.
    version: 1
    rules:

    """

  /// Of a new file: the gate's own.
  private static let mode: mode_t = 0o600

  /// The longest comment above a rule, in characters.
  private static let longestComment = 400

  init(_ path: String, reader: PolicyLoader) {
    (self.path, self.reader) = (path, reader)
  }

  /// Adds one rule, a line of YAML.
  ///
  /// - Parameters:
  ///   - comment: What stands above it; anything but printable ASCII becomes a question mark.
  ///   - isTaken: Whether it stays, asked once it is written, with all rules, this one among them; else the file is
  ///     put back as it was before anybody else may change it.
  func add(
    _ rule: String, named id: String, says comment: String, if isTaken: (Policy) -> Bool
  ) throws(OverlayError) {
    _ = try change { text throws(OverlayError) in
      var whole = text ?? Self.beginning
      if let empty = whole.firstRange(of: Self.none) { whole.replaceSubrange(empty, with: "rules:\n") }
      if whole.utf8.last != UInt8(ascii: "\n") { whole += "\n" }
      return whole + "  # \(Self.plain(comment))\n  - \(rule)\n"
    } expecting: {
      $0.rules.contains { $0.id.text == id }
    } if: {
      isTaken($0)
    }
  }

  /// Takes one rule out, and the comment above it.
  ///
  /// - Parameter lack: Why nothing but what allows may be taken out; nil: everything may.
  func remove(_ id: String, lacking lack: String?) throws(OverlayError) -> Policy {
    try change { text throws(OverlayError) in
      if let lack { try check(id, in: text ?? "", lack) }
      var lines = (text ?? "").split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
      let mark = "  - { id: \"\(id)\","
      guard let place = lines.firstIndex(where: { $0.utf8.starts(with: mark.utf8) }) else {
        throw unknown(id)
      }
      let hasComment = place > 0 && lines[place - 1].utf8.starts(with: "  # ".utf8)
      lines.removeSubrange((hasComment ? place - 1 : place)...place)
      let isEmpty = !lines.contains { $0.utf8.starts(with: "  - ".utf8) }
      if isEmpty, let head = lines.firstIndex(of: "rules:") { lines[head] = "rules: []" }
      return lines.joined(separator: "\n")
    } expecting: {
      !$0.rules.contains { $0.id.text == id }
    }
  }

  /// Looks at what the file says now, which may be more than the gate has read.
  private func check(_ id: String, in text: String, _ lack: String) throws(OverlayError) {
    let rules = try read { () throws(PolicyFileError) in try reader.overlay(text: text, named: path) }.rules
    guard let rule = rules.first(where: { $0.id.text == id }) else { throw unknown(id) }
    if rule.action != .allow { throw OverlayError(description: lack, isForbidden: true) }
  }

  private static let none = "rules: []\n"

  private static func plain(_ text: String) -> String {
    String(
      decoding: text.unicodeScalars.prefix(longestComment).map { scalar in
        (0x20...0x7e).contains(scalar.value) ? UInt8(scalar.value) : UInt8(ascii: "?")
      }, as: UTF8.self)
  }

  private func change(
    _ edit: (String?) throws(OverlayError) -> String, expecting isRight: (Policy) -> Bool,
    if isTaken: (Policy) -> Bool = { _ in true }
  ) throws(OverlayError) -> Policy {
    let lock: OverlayLock
    do throws(RuleFileError) { lock = try OverlayLock(of: path) } catch {
      throw error.code == EWOULDBLOCK ? busy : OverlayError(description: "\(error)")
    }
    defer { extendLifetime(lock) }
    let old = try read { () throws(PolicyFileError) in try reader.overlay(path: path)?.text }
    let text = try edit(old)
    let rules = try read { () throws(PolicyFileError) in try reader.overlay(text: text, named: path) }
    guard isRight(rules) else { throw OverlayError(description: "\(path) does not say what it should") }
    do throws(RuleFileError) { try file.replace(with: text, mode: Self.mode) } catch {
      throw unwritten(error)
    }
    if !isTaken(rules) { try putBack(old) }
    return rules
  }

  private func putBack(_ old: String?) throws(OverlayError) {
    do throws(RuleFileError) {
      if let old { try file.replace(with: old, mode: Self.mode) } else { try file.remove() }
    } catch {
      throw OverlayError(
        description:
          "it does not count, but stands in the file: \(error). Take it out by hand before the next reload",
        isLeft: true)
    }
  }

  private func read<Value>(_ work: () throws(PolicyFileError) -> Value) throws(OverlayError) -> Value {
    do throws(PolicyFileError) { return try work() } catch {
      throw OverlayError(description: error.diagnostics.first?.description ?? "\(path) is wrong")
    }
  }

  private func unwritten(_ error: RuleFileError) -> OverlayError {
    guard !error.isLink else { return OverlayError(description: "\(error)") }
    let cause = String(cString: strerror(error.code))
    return OverlayError(
      description: "cannot write \(path): \(cause). Make its directory writable for the gate")
  }

  private var busy: OverlayError {
    OverlayError(description: "\(path) is being changed by another process. Try again", isBusy: true)
  }

  private func unknown(_ id: String) -> OverlayError {
    OverlayError(
      description: "the rule '\(id)' is not on a line of its own in \(path); take it out by hand, then reload"
    )
  }
}
