import Dispatch
import Glibc
import Synchronization

/// What the gate itself says beside a command, a line at a time. While a question
/// is shown on the same terminal, of this run or another, it waits.
final class TerminalLines: Sendable {
  private struct State {
    var waiting: [String] = []
    var dropped = 0
    var isHeld = false
    var triesAgain = false
    var turn: TerminalTurn?
  }

  /// Lines that wait; what comes beyond is in the log.
  private static let most = 256

  private let isRaw: Bool
  private let state = Mutex(State())

  /// - Parameter isRaw: Whether the terminal does not begin a line where one ends.
  init(isRaw: Bool) { self.isRaw = isRaw }

  /// From now on it takes turns with other runs.
  func take(_ turn: TerminalTurn?) { state.withLock { $0.turn = turn } }

  /// Says a line.
  func say(_ line: Text) {
    state.withLock { state in
      if state.waiting.count < Self.most { state.waiting.append(line.plain) } else { state.dropped += 1 }
      sayAll(&state)
    }
  }

  /// From now on lines wait.
  func hold() { state.withLock { $0.isHeld = true } }

  /// Says what waits.
  func release() {
    state.withLock { state in
      state.isHeld = false
      sayAll(&state)
    }
  }

  private func sayAll(_ state: inout State) {
    guard !state.isHeld, !state.waiting.isEmpty else { return }
    guard state.turn?.enter() != false else { return tryAgain(&state) }
    defer { state.turn?.leave() }
    state.waiting.forEach(write)
    if state.dropped > 0 { write("exitgate: \(count(state.dropped, "line")) more: exitgate log blocked") }
    (state.waiting, state.dropped) = ([], 0)
  }

  private func tryAgain(_ state: inout State) {
    guard !state.triesAgain else { return }
    state.triesAgain = true
    DispatchQueue.global().asyncAfter(deadline: .now() + .milliseconds(100)) { [self] in
      self.state.withLock { state in
        state.triesAgain = false
        sayAll(&state)
      }
    }
  }

  private func write(_ line: String) {
    writeAll(Array((line + (isRaw ? "\r\n" : "\n")).utf8), to: STDERR_FILENO)
  }
}
