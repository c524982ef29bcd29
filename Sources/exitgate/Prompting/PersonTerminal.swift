import CLinux
import Dispatch
import Glibc

/// The terminal that `run` was started on, opened for the gate alone.
///
/// `@unchecked Sendable`: everything that changes is touched on the prompt's queue alone.
final class PersonTerminal: @unchecked Sendable {
  private let descriptor: Int32
  /// Of this process, which its shell has set.
  private let group = getpgrp()
  /// Whether colours and the like are wanted.
  let isColoured: Bool
  private var before: termios?
  private var source: (any DispatchSourceRead)?
  private var turn: TerminalTurn?
  /// Why it can have no turn.
  private var refusal = TerminalTurn.Refusal.taken

  /// - Parameter state: The directory of what commands have to remember.
  /// - Returns: nil where there is none: no terminal belongs to this session.
  init?(environment: [String: String], state: String) {
    descriptor = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY)
    guard descriptor >= 0 else { return nil }
    isColoured = (environment["NO_COLOR"] ?? "").isEmpty
    do throws(TerminalTurn.Refusal) { turn = try TerminalTurn(descriptor, state: state) } catch {
      refusal = error
    }
  }

  /// Has this run alone ask on it, from now on; else answers why it does not.
  func claim() -> TerminalTurn.Refusal? {
    turn.map { $0.claimQuestions() } ?? refusal
  }

  /// Has it to itself, so that no other run writes to it; where that is refused one tries again.
  func takeScreen() -> Bool { turn?.takeScreen() ?? false }

  /// Lets others write.
  func leaveScreen() { turn?.leaveScreen() }

  /// Whether nobody sees it any more (poll(2), POLLHUP). Its number then is another's, who may ask there.
  func isGone() -> Bool {
    var watched = pollfd(fd: descriptor, events: 0, revents: 0)
    guard poll(&watched, 1, 0) > 0 else { return false }
    turn = nil
    return true
  }

  /// Whether this process is in front of it: others are stopped when they read (termios(3), SIGTTIN).
  var isForeground: Bool { tcgetpgrp(descriptor) == group }

  /// Whether it stops whoever writes from behind (termios(3), TOSTOP).
  var stopsWriters: Bool {
    var settings = termios()
    return tcgetattr(descriptor, &settings) != 0 || settings.c_lflag & tcflag_t(TOSTOP) != 0
  }

  /// As it says itself; 80 by 24 where it does not.
  var size: (columns: Int, rows: Int) {
    var size = winsize()
    guard ioctl(descriptor, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0, size.ws_row > 0 else {
      return (80, 24)
    }
    return (Int(size.ws_col), Int(size.ws_row))
  }

  func write(_ text: String) { write(Array(text.utf8)) }

  func write(_ bytes: [UInt8]) { if !bytes.isEmpty { writeAll(bytes, to: descriptor) } }

  /// Has each key come at once and unseen; what was typed before is thrown away.
  func takeKeys() {
    var settings = termios()
    guard tcgetattr(descriptor, &settings) == 0 else { return }
    before = settings
    cfmakeraw(&settings)
    tcsetattr(descriptor, TCSAFLUSH, &settings)
  }

  /// As before; what was typed for a question is nobody else's.
  func giveKeysBack() {
    if var before { tcsetattr(descriptor, TCSAFLUSH, &before) }
    before = nil
  }

  /// Leaves keys to whoever is in front now, and has set them.
  func forgetKeys() { before = nil }

  /// Reads keys, where nobody else does.
  func read(on queue: DispatchQueue, _ handler: @escaping @Sendable ([UInt8]) -> Void) {
    let descriptor = descriptor
    let source = DispatchSource.makeReadSource(fileDescriptor: descriptor, queue: queue)
    source.setEventHandler { [weak self] in
      var buffer = [UInt8](repeating: 0, count: 4096)
      let count = Glibc.read(descriptor, &buffer, buffer.count)
      if count > 0 { return handler(Array(buffer[..<count])) }
      if count == 0 || errno != EINTR && errno != EAGAIN { self?.stopReading() }
    }
    source.activate()
    self.source = source
  }

  func stopReading() {
    source?.cancel()
    source = nil
  }
}
