import Glibc
import Synchronization

/// How far something has come, in one line that is drawn over and gone at the end; on a terminal alone.
final class ProgressBar: Sendable {
  /// In columns.
  private static let width: Int64 = 30
  /// In bytes: below, it would be gone before it is read.
  private static let worthwhile: Int64 = 16 << 20

  private let title: String
  private let isShown: Bool
  /// The percentage that is on the screen; -1 before the first.
  private let shown = Mutex<Int64>(-1)

  init(_ title: String, environment: [String: String]) {
    self.title = title
    isShown = isatty(STDERR_FILENO) == 1 && environment["TERM"] != "dumb"
  }

  deinit { clear() }

  /// Takes it from the screen, so that other words can stand there.
  func clear() {
    shown.withLock { shown in
      if shown >= 0 { writeAll(Array("\r\u{1b}[K".utf8), to: STDERR_FILENO) }
      shown = -1
    }
  }

  /// Draws how many bytes are done of how many; from any thread.
  func show(_ done: Int64, of total: Int64) {
    guard isShown, total >= Self.worthwhile else { return }
    let percent = min(100, done * 100 / total)
    shown.withLock { shown in
      guard percent > shown else { return }
      shown = percent
      let bar = percent * Self.width / 100
      let drawn =
        String(repeating: "#", count: Int(bar)) + String(repeating: ".", count: Int(Self.width - bar))
      writeAll(Array("\rexitgate: \(title) [\(drawn)] \(percent) %".utf8), to: STDERR_FILENO)
    }
  }
}
