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
      do throws(OverlayLockError) { return try OverlayLock(of: target) } catch {
        guard error.code == EWOULDBLOCK else {
          throw ReviewProblem("\(error), or name another file with --rules.")
        }
        guard ContinuousClock.now < end else {
          throw ReviewProblem(
            "'\(path)' is kept by another process, which has locked \(target).lock. Try again.")
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
      if change.old.isEmpty { remove() } else { try write(change.old) }
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

  /// Puts a text in the file's place, whole: a file of its own beside it is
  /// written, brought to the disk and renamed. Mode and, where that is possible, owner stay. Of a symbolic
  /// link it is the file that it leads to.
  ///
  /// - Throws: Why not; the file is then as it was.
  func write(_ text: String) throws(ReviewProblem) {
    let place = target, temporary = "\(place).\(getpid()).new"
    unlink(temporary)
    let descriptor = open(temporary, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC | O_NOFOLLOW, 0o600)
    guard descriptor >= 0 else { throw problem("be written") }
    takeOver(descriptor)
    let isWritten = writeAll(Array(text.utf8), to: descriptor) && fsync(descriptor) == 0
    close(descriptor)
    guard isWritten, rename(temporary, place) == 0 else {
      let failure = problem("be written")
      unlink(temporary)
      throw failure
    }
    syncDirectory()
  }

  /// Takes the file away again.
  func remove() {
    unlink(path)
    syncDirectory()
  }

  /// The file itself, behind symbolic links.
  private var target: String {
    guard let resolved = realpath(path, nil) else { return path }
    defer { free(resolved) }
    return String(cString: resolved)
  }

  private func takeOver(_ descriptor: Int32) {
    var status = stat()
    guard stat(path, &status) == 0 else {
      // A gate of another user must be able to read it, and a policy is no secret.
      _ = fchmod(descriptor, 0o644)
      return
    }
    _ = fchown(descriptor, status.st_uid, status.st_gid)
    _ = fchmod(descriptor, status.st_mode & 0o777)
  }

  private func syncDirectory() {
    let descriptor = open(directory(of: target), O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard descriptor >= 0 else { return }
    fsync(descriptor)
    close(descriptor)
  }

  private func problem(_ what: String) -> ReviewProblem {
    ReviewProblem(
      "'\(path)' cannot \(what): \(String(cString: strerror(errno))). Give this user the right to, or name another file with --rules."
    )
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

private func writeAll(_ bytes: [UInt8], to descriptor: Int32) -> Bool {
  var rest = bytes[...]
  while !rest.isEmpty {
    let count = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
    if count < 0, errno == EINTR { continue }
    guard count > 0 else { return false }
    rest = rest.dropFirst(count)
  }
  return true
}
