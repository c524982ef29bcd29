import Glibc

/// Shows what is longer than the screen by the program that the person reads with, as git does.
struct Pager {
  /// A line for the shell, as `PAGER` is everywhere.
  let command: String
  /// The whole environment that it gets.
  private let environment: [String: String]

  /// What is used where nobody says otherwise.
  private static let usual = "less"

  /// - Returns: nil where nothing is to be paged: standard output is no terminal, or one that cannot scroll, or
  ///   `EXITGATE_PAGER`, else `PAGER`, is empty or `cat`.
  init?(_ environment: [String: String]) {
    guard isatty(STDOUT_FILENO) == 1, environment["TERM"] != "dumb" else { return nil }
    let command = environment["EXITGATE_PAGER"] ?? environment["PAGER"] ?? Self.usual
    guard !command.isEmpty, command != "cat" else { return nil }
    self.command = command
    // Without a word of the person, less ends by itself where one screen is enough, passes colours and nothing
    // else, and leaves what it showed.
    self.environment = ["LESS": "FRX", "LV": "-c"].merging(environment) { $1 }
  }

  /// Whether these lines are more than the terminal shows at once.
  static func isNeeded(for lines: [UInt8]) -> Bool {
    var size = winsize()
    guard ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &size) == 0, size.ws_row > 0 else { return false }
    return height(of: lines, width: Int(size.ws_col)) >= Int(size.ws_row)
  }

  /// How many rows lines take; sequences of colours take no room.
  static func height(of lines: [UInt8], width: Int) -> Int {
    lines.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).dropLast().reduce(0) {
      rows, line in
      var letters = 0, isInSequence = false
      for byte in line {
        if isInSequence {
          isInSequence = byte != UInt8(ascii: "m")
        } else if byte == 0x1b {
          isInSequence = true
        } else {
          letters += 1
        }
      }
      return rows + max(1, width > 0 ? (letters + width - 1) / width : 1)
    }
  }

  /// Shows bytes and waits for the end of it.
  ///
  /// - Returns: Why the person may not have seen them; nil when the program ended well, wherever it was left.
  func show(_ bytes: [UInt8]) -> String? {
    var ends: [Int32] = [-1, -1]
    guard pipe(&ends) == 0 else { return String(cString: strerror(errno)) }
    for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
    // The keys that interrupt are for the program that shows; a reader that left is no failure.
    let before = [SIGINT, SIGQUIT, SIGPIPE].map { ($0, signal($0, SIG_IGN)) }
    defer { for (number, handler) in before { signal(number, handler) } }
    guard let child = start(reading: ends[0]) else {
      ends.forEach { close($0) }
      return "it does not start"
    }
    close(ends[0])
    writeAll(bytes, to: ends[1])
    close(ends[1])
    var status: Int32 = 0
    while waitpid(child, &status, 0) < 0 { guard errno == EINTR else { return "it was lost" } }
    if status == 0 { return nil }
    let isExit = status & 0x7f == 0
    return isExit ? "it ended with status \((status >> 8) & 0xff)" : "signal \(status & 0x7f) ended it"
  }

  private func start(reading input: Int32) -> pid_t? {
    var actions = posix_spawn_file_actions_t(), attributes = posix_spawnattr_t(), defaults = sigset_t()
    posix_spawn_file_actions_init(&actions)
    posix_spawnattr_init(&attributes)
    defer {
      posix_spawn_file_actions_destroy(&actions)
      posix_spawnattr_destroy(&attributes)
    }
    posix_spawn_file_actions_adddup2(&actions, input, STDIN_FILENO)
    sigemptyset(&defaults)
    for number in [SIGINT, SIGQUIT, SIGPIPE] { sigaddset(&defaults, number) }
    posix_spawnattr_setsigdefault(&attributes, &defaults)
    posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGDEF))
    let words = ["sh", "-c", command], settings = environment.map { "\($0)=\($1)" }
    let arguments = words.map { strdup($0) } + [nil], variables = settings.map { strdup($0) } + [nil]
    defer { for text in arguments + variables { free(text) } }
    var child = pid_t()
    let result = posix_spawn(&child, "/bin/sh", &actions, &attributes, arguments, variables)
    return result == 0 ? child : nil
  }
}
