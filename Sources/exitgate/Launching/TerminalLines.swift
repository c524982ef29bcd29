import Glibc
import Synchronization

/// What the gate itself says beside a command, a line at a time. While a question
/// is shown on the same terminal it waits.
final class TerminalLines: Sendable {
  private struct State {
    /// nil: lines are written at once.
    var held: [String]?
    var dropped = 0
  }

  /// Lines that wait; what comes beyond is in the log.
  private static let most = 256

  private let isRaw: Bool
  private let state = Mutex(State())

  /// - Parameter isRaw: Whether the terminal does not begin a line where one ends.
  init(isRaw: Bool) { self.isRaw = isRaw }

  /// Says a line.
  func say(_ line: Text) {
    state.withLock { state in
      guard let held = state.held else { return write(line.plain) }
      if held.count < Self.most { state.held?.append(line.plain) } else { state.dropped += 1 }
    }
  }

  /// From now on lines wait.
  func hold() { state.withLock { $0.held = $0.held ?? [] } }

  /// Says what waits.
  func release() {
    state.withLock { state in
      state.held?.forEach(write)
      if state.dropped > 0 { write("exitgate: \(count(state.dropped, "line")) more: exitgate log blocked") }
      state = State()
    }
  }

  private func write(_ line: String) {
    writeAll(Array((line + (isRaw ? "\r\n" : "\n")).utf8), to: STDERR_FILENO)
  }
}
