import Glibc
import SystemPackage

/// Whose turn it is on a terminal that several runs of one user are on.
///
/// A file bears the terminal's number, and three of its bytes are locked. Who asks has the first for as long as it
/// lives. While its question is shown it has the other two, and nobody else writes to the terminal or reads from it:
/// each does so with the third in its hands, which it gets past the second, so that many who write keep nobody waiting.
/// The locks are of an open file, so each that takes turns has one of its own.
///
/// - Source: fcntl(2), "Open file description locks"; ioctl_tty(2), TIOCGDEV.
final class TerminalTurn: Sendable {
  private enum Part: Int { case asking, entry, screen }

  /// Why nobody is asked on the terminal.
  enum Refusal: Error, Hashable, Sendable {
    /// Another run asks there.
    case taken
    /// The file that tells whose turn it is cannot be used; its path, and why.
    case noFile(String, Errno)
  }

  // Macros (bits/fcntl-linux.h, asm-generic/ioctls.h).
  private static let set: Int32 = 37
  private static let terminalNumber: UInt = 0x8004_5432

  private let descriptor: Int32
  private let path: String

  /// - Parameters:
  ///   - terminal: An open descriptor of it.
  ///   - state: The directory of what commands of this user have to remember.
  /// - Throws: Where there is no such file to be had.
  init(_ terminal: Int32, state: String) throws(Refusal) {
    var number: UInt32 = 0
    guard ioctl(terminal, Self.terminalNumber, &number) == 0 else { throw Self.failed("\(state)/terminals") }
    path = "\(state)/terminals/\(number)"
    guard makeDirectories(above: path) else { throw Self.failed(path) }
    descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
    guard descriptor >= 0 else { throw Self.failed(path) }
  }

  private static func failed(_ path: String) -> Refusal { .noFile(path, Errno(rawValue: errno)) }

  deinit { close(descriptor) }

  /// Has questions be asked by this run alone, until it ends.
  ///
  /// - Returns: Why not.
  func claimQuestions() -> Refusal? {
    guard !lock(F_WRLCK, .asking) else { return nil }
    return errno == EAGAIN || errno == EACCES ? .taken : Self.failed(path)
  }

  /// Has the terminal to itself. Who is refused has nobody begin anew, and tries again.
  func takeScreen() -> Bool { lock(F_WRLCK, .entry) && lock(F_WRLCK, .screen) }

  /// Lets others write.
  func leaveScreen() { for part in [Part.screen, .entry] { _ = lock(F_UNLCK, part) } }

  /// May write and read, until it leaves.
  func enter() -> Bool {
    guard lock(F_RDLCK, .entry) else { return false }
    defer { _ = lock(F_UNLCK, .entry) }
    return lock(F_RDLCK, .screen)
  }

  /// The same, once nobody's question is shown. A run that was stopped in the middle of one keeps nobody for longer
  /// than a question may stand.
  func enterOnceFree() {
    for _ in 0..<600 {
      guard !enter() else { return }
      usleep(50_000)
    }
  }

  /// Has written.
  func leave() { _ = lock(F_UNLCK, .screen) }

  private func lock(_ kind: Int32, _ part: Part) -> Bool {
    var lock = flock()
    (lock.l_type, lock.l_whence) = (Int16(kind), Int16(SEEK_SET))
    (lock.l_start, lock.l_len) = (part.rawValue, 1)
    while fcntl(descriptor, Self.set, &lock) != 0 {
      guard errno != EINTR else { continue }
      // A file system without locks keeps nobody from writing, and lets nobody ask.
      return kind == F_RDLCK && errno != EAGAIN && errno != EACCES
    }
    return true
  }
}
