import CLinux
import Dispatch
import Glibc

/// Passes what a person types on to a command's own terminal, and what the
/// command writes back. The two are different terminals: what the command does
/// to its own, or types into it, ends there.
///
/// `@unchecked Sendable`: everything that changes is touched on `queue` alone.
final class TerminalRelay: @unchecked Sendable {
  /// Where everything happens to the terminal.
  let queue = DispatchQueue(label: "exitgate.terminal")
  /// What the command has made of the person's terminal. On `queue`.
  private(set) var modes = TerminalModes()
  /// Is asked first whether keys are somebody else's. On `queue`.
  var keys: (([UInt8]) -> Bool)?
  /// Is told when the person's terminal is gone. On `queue`.
  var hungUp: (() -> Void)?
  private let leader: Int32
  private let group: pid_t
  /// The person's terminal to read from; nil where the command reads something else.
  private let input: Int32?
  /// The person's terminal to write to.
  private let output: Int32
  /// With other runs on the same terminal; nil where there is none to be had.
  private let turn: TerminalTurn?
  private var isWaiting = false
  private var staysBehind = false
  private var before: termios?
  private var inputSource: (any DispatchSourceRead)?
  private var outputSource: (any DispatchSourceRead)?
  private var isPaused = false

  /// - Parameters:
  ///   - streams: The streams that are the person's terminal.
  ///   - leader: The master side of the command's.
  ///   - group: Of this process, which its shell has set. Begun in the background it never
  ///     reads, for the kernel would stop whoever does.
  ///   - turn: With other runs on the same terminal.
  init(_ streams: Set<Int32>, leader: Int32, group: pid_t, _ turn: TerminalTurn?) {
    self.group = group
    self.leader = leader
    input = streams.contains(STDIN_FILENO) && tcgetpgrp(STDIN_FILENO) == group ? STDIN_FILENO : nil
    output = [STDOUT_FILENO, STDERR_FILENO, STDIN_FILENO].first(where: streams.contains) ?? STDERR_FILENO
    self.turn = turn
    // This side waits for nobody: a command that does not read loses what does not fit.
    _ = fcntl(leader, F_SETFL, fcntl(leader, F_GETFL) | O_NONBLOCK)
  }

  /// Begins; from now on keys mean to the command what they mean there.
  func begin() {
    queue.sync {
      // What another's question has made of the terminal is not how it was before.
      turn?.enterOnceFree()
      defer { turn?.leave() }
      _ = linux_copy_window_size(output, leader, 0)
      if let input {
        makeRaw(input)
        inputSource = listen(to: input) { [unowned self] in inTurn { typed() } }
      }
      outputSource = listen(to: leader) { [unowned self] in inTurn { _ = written() } }
    }
  }

  /// Tells the command's terminal how large the person's is now.
  func resize() { queue.async { [self] in _ = linux_copy_window_size(output, leader, 0) } }

  /// Passes the rest on and leaves the person's terminal as it was.
  func end() {
    queue.sync {
      resume()
      stopWaiting()
      if staysBehind { inputSource?.resume() }
      staysBehind = false
      turn?.enterOnceFree()
      defer { turn?.leave() }
      while written() {}
      for source in [inputSource, outputSource] { source?.cancel() }
      // From behind nobody sets it, whoever is in front has done so.
      if let input, !isBehind(input), var before { tcsetattr(input, TCSADRAIN, &before) }
    }
  }

  private func listen(to descriptor: Int32, _ handler: @escaping @Sendable () -> Void)
    -> any DispatchSourceRead
  {
    let source = DispatchSource.makeReadSource(fileDescriptor: descriptor, queue: queue)
    source.setEventHandler(handler: handler)
    source.activate()
    return source
  }

  // MARK: - Another's turn

  /// Reads and writes unless another run's question is on the terminal; then both wait until it is gone.
  private func inTurn(_ body: () -> Void) {
    guard !isWaiting else { return }
    // While this run's own question is shown it is its turn, and what is typed is for the question.
    guard !isPaused else { return body() }
    guard turn?.enter() != false else {
      isWaiting = true
      for source in [inputSource, outputSource] { source?.suspend() }
      return tryAgain()
    }
    defer { turn?.leave() }
    body()
  }

  private func tryAgain() {
    queue.asyncAfter(deadline: .now() + .milliseconds(50)) { [self] in
      guard isWaiting else { return }
      guard turn?.enter() != false else { return tryAgain() }
      turn?.leave()
      stopWaiting()
    }
  }

  /// Whether others are in front; nobody is where the terminal is gone.
  private func isBehind(_ input: Int32) -> Bool {
    let front = tcgetpgrp(input)
    return front > 0 && front != group
  }

  /// Others are in front, and what is typed is theirs: who reads it would be stopped (termios(3), SIGTTIN).
  private func stayBehind() {
    guard let input, let inputSource else { return }
    if !staysBehind { inputSource.suspend() }
    staysBehind = isBehind(input)
    guard staysBehind else { return inputSource.resume() }
    queue.asyncAfter(deadline: .now() + .milliseconds(200)) { [self] in if staysBehind { stayBehind() } }
  }

  private func stopWaiting() {
    guard isWaiting else { return }
    isWaiting = false
    for source in [inputSource, outputSource] { source?.resume() }
  }

  /// Whether keys come by here.
  var readsKeys: Bool { inputSource.map { !$0.isCancelled } ?? false }

  /// Leaves what the command writes where it is: it waits once its terminal is full. On `queue`.
  func pause() {
    guard !isPaused, let outputSource else { return }
    stopWaiting()
    isPaused = true
    outputSource.suspend()
  }

  /// Goes on, and has whatever draws on the command's terminal draw anew: one row less, then all. On `queue`.
  func resume() {
    guard isPaused, let outputSource else { return }
    isPaused = false
    outputSource.resume()
    _ = linux_copy_window_size(output, leader, -1)
    queue.asyncAfter(deadline: .now() + .milliseconds(50)) { [self] in
      _ = linux_copy_window_size(output, leader, 0)
    }
  }

  /// Types into the command's terminal. On `queue`.
  func type(_ bytes: [UInt8]) {
    var rest = bytes[...]
    while !rest.isEmpty {
      let count = rest.withUnsafeBytes { write(leader, $0.baseAddress, $0.count) }
      guard count > 0 else { return }
      rest = rest.dropFirst(count)
    }
  }

  /// - Source: cfmakeraw(3).
  private func makeRaw(_ descriptor: Int32) {
    var settings = termios()
    guard tcgetattr(descriptor, &settings) == 0 else { return }
    before = settings
    cfmakeraw(&settings)
    tcsetattr(descriptor, TCSADRAIN, &settings)
  }

  private func typed() {
    guard let input else { return }
    guard !isBehind(input) else { return stayBehind() }
    guard Self.hasCome(input) else { return }
    guard let bytes = Self.some(of: input) else {
      guard errno != EAGAIN, errno != EINTR else { return }
      // It is gone, and would be ready to say so for ever.
      inputSource?.cancel()
      hungUp?()
      return
    }
    if keys?(bytes) != true { type(bytes) }
  }

  /// - Returns: Whether there was anything.
  private func written() -> Bool {
    guard let bytes = Self.some(of: leader) else { return false }
    modes.feed(bytes)
    return writeAll(bytes, to: output)
  }

  /// Whether a read waits for nobody: another may have read what there was.
  private static func hasCome(_ descriptor: Int32) -> Bool {
    var watched = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
    return poll(&watched, 1, 0) != 0
  }

  private static func some(of descriptor: Int32) -> [UInt8]? {
    var buffer = [UInt8](repeating: 0, count: 16_384)
    errno = 0
    let count = read(descriptor, &buffer, buffer.count)
    return count > 0 ? Array(buffer[..<count]) : nil
  }
}
