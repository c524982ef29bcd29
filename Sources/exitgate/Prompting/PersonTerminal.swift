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

  /// - Returns: nil where there is none: no terminal belongs to this session.
  init?(environment: [String: String]) {
    descriptor = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY)
    guard descriptor >= 0 else { return nil }
    isColoured = (environment["NO_COLOR"] ?? "").isEmpty
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

  /// Reads keys, where nobody else does.
  func read(on queue: DispatchQueue, _ handler: @escaping @Sendable ([UInt8]) -> Void) {
    let descriptor = descriptor
    let source = DispatchSource.makeReadSource(fileDescriptor: descriptor, queue: queue)
    source.setEventHandler { [weak self] in
      var buffer = [UInt8](repeating: 0, count: 4096)
      let count = Glibc.read(descriptor, &buffer, buffer.count)
      if count > 0 { handler(Array(buffer[..<count])) } else { self?.stopReading() }
    }
    source.activate()
    self.source = source
  }

  func stopReading() {
    source?.cancel()
    source = nil
  }
}
