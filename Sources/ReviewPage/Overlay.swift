import Glibc
import Policy
import PolicyFile
import Review

/// A policy file to which single rules are added.
struct Overlay: Sendable {
  let path: String
  /// The policy that includes it; nil where none is known.
  let policy: String?
  let hooks: ReviewHooks

  /// What the file would say with one more rule.
  struct Change: Hashable, Sendable {
    /// The text now; empty where there is no file.
    var old: String
    /// The text then, with which the policy loads.
    var new: String
  }

  /// How long somebody else who changes the file is waited for: all answers of the page wait behind this one.
  static let patience = Duration.seconds(3)
  private static let pause: UInt32 = 20_000  // in microseconds

  /// Does `work` while nobody else changes the file.
  ///
  /// - Throws: What `work` throws, or why the file cannot be kept from others.
  func alone<Value>(_ work: () throws(ReviewProblem) -> Value) throws(ReviewProblem) -> Value {
    let lock = try lock()
    defer { extendLifetime(lock) }
    return try work()
  }

  private func lock() throws(ReviewProblem) -> OverlayLock {
    let end = ContinuousClock.now + Self.patience
    while true {
      do throws(RuleFileError) { return try OverlayLock(of: path) } catch {
        guard error.code == EWOULDBLOCK else {
          throw problem(error)
        }
        guard ContinuousClock.now < end else {
          throw ReviewProblem(
            "'\(path)' is kept by another process, which has locked \(path).lock. Try again.")
        }
        usleep(Self.pause)
      }
    }
  }

  /// Takes back what was written, if that is still what the file says.
  ///
  /// - Throws: Why the rule is still in it.
  func takeBack(_ change: Change) throws(ReviewProblem) {
    try alone { () throws(ReviewProblem) in
      let text = try? PolicyText(path: path, with: hooks.loader(directory(of: path))).text
      guard text == change.new else {
        throw ReviewProblem("'\(path)' was changed meanwhile, so the rule stands in it. Take it out by hand.")
      }
      if change.old.isEmpty { try remove() } else { try write(change.old) }
    }
  }

  /// Adds a rule in thought.
  ///
  /// - Parameters:
  ///   - rule: A YAML flow mapping on one line, as `SuggestedRule` writes it.
  ///   - comment: A line of printable ASCII, without the mark.
  /// - Throws: Why it cannot be added: each with its remedy.
  func adding(_ rule: String, comment: String) throws(ReviewProblem) -> Change {
    let item = ["# \(comment)", "- \(rule)"]
    let change: Change, isIncluded: Bool
    do throws(PolicyFileError) {
      if access(path, F_OK) == 0 {
        let text = try PolicyText(path: path, with: hooks.loader(directory(of: path)))
        change = Change(old: text.text, new: try text.adding(includes: [], rules: [item]))
      } else {
        change = Change(old: "", new: "version: 1\nrules:\n" + item.map { "  \($0)\n" }.joined())
      }
      isIncluded = try isTaken(change.new)
    } catch {
      throw ReviewProblem(error.diagnostics.map { "\($0)" }.joined(separator: " "))
    }
    guard isIncluded else {
      throw ReviewProblem(
        "the policy \(policy ?? "") does not include \(path). Write it into its 'include', as file:, and create it."
      )
    }
    return change
  }

  /// Whether the policy would load with this text, and include it.
  private func isTaken(_ text: String) throws(PolicyFileError) -> Bool {
    guard let policy else {
      _ = try hooks.loader(directory(of: path)).load(text: text, named: path)
      return true
    }
    let loader = hooks.loader(directory(of: policy)).pretending(path, says: text)
    return try loader.load(path: policy).sources.contains { source in
      source.name.utf8.starts(with: "file:".utf8) && isSameFile(String(source.name.dropFirst(5)), path)
    }
  }

  /// Puts a text in the file's place, whole. A file that is new may be read by everybody: a gate of another user must
  /// be able to, and a policy is no secret.
  ///
  /// - Throws: Why not; the file is then as it was.
  func write(_ text: String) throws(ReviewProblem) {
    try change { file throws(RuleFileError) in try file.replace(with: text, mode: 0o644) }
  }

  /// Takes the file away again.
  func remove() throws(ReviewProblem) {
    try change { file throws(RuleFileError) in try file.remove() }
  }

  private func change(_ work: (RuleFile) throws(RuleFileError) -> Void) throws(ReviewProblem) {
    do throws(RuleFileError) { try work(RuleFile(path)) } catch { throw problem(error) }
  }

  private func problem(_ error: RuleFileError) -> ReviewProblem {
    ReviewProblem("\(error), or name another file with --rules.")
  }
}

private func isSameFile(_ first: String, _ second: String) -> Bool {
  var left = stat(), right = stat()
  return stat(first, &left) == 0 && stat(second, &right) == 0 && left.st_dev == right.st_dev
    && left.st_ino == right.st_ino
}

/// The directory that holds a file.
func directory(of path: String) -> String {
  guard let slash = path.utf8.lastIndex(of: UInt8(ascii: "/")) else { return "." }
  return slash == path.startIndex ? "/" : String(path[..<slash])
}
