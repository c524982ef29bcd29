import CLinux
import Confinement
import Glibc
import SystemPackage

/// The first process of a sandbox: it builds the file system, starts the
/// command, buries whoever dies, and passes signals on. When it ends, the
/// kernel ends all others.
struct FirstProcess {
  private let plan: SandboxPlan
  private let channel: MessageChannel

  init(_ plan: SandboxPlan, _ channel: MessageChannel) {
    (self.plan, self.channel) = (plan, channel)
  }

  /// - Parameters:
  ///   - descriptors: What the gate gets.
  ///   - ungrouped: Why no control group holds it, where somebody agreed to that.
  /// - Returns: The exit status, which nobody looks at.
  func run(passing descriptors: [Int32], hasIPv6: Bool, ungrouped: String?) -> Int32 {
    do throws(SandboxError) {
      try FileSystem(plan.view, allowing: plan.weaker).enter()
    } catch {
      try? channel.send(SandboxMessage.refused(error).bytes)
      return 1
    }
    var kept = [STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO, channel.descriptor]
    var passed = descriptors, terminal: Int32?
    do {
      if !plan.terminal.isEmpty {
        var leader: Int32 = -1, follower: Int32 = -1
        try attempt(.files, "open a terminal") { linux_open_terminal("/dev/pts/ptmx", &leader, &follower) }
        passed.append(leader)
        kept.append(follower)
        terminal = follower
      }
      let ready = SandboxMessage.ready(hasIPv6: hasIPv6, ungrouped: ungrouped)
      try channel.send(ready.bytes, descriptors: passed)
      KeeperProcess.closeDescriptors(except: kept)
      guard case .message(let bytes, _) = try channel.receive(), SandboxMessage(bytes) == .go else {
        return 1
      }
      return try start(at: terminal)
    } catch let error as SandboxError {
      try? channel.send(SandboxMessage.refused(error).bytes)
      return 1
    } catch { return 1 }
  }

  private func start(at terminal: Int32?) throws -> Int32 {
    // Before there is anybody whose end could be missed.
    let signals = linux_signal_descriptor([SIGCHLD], 1)
    var report: [Int32] = [-1, -1]
    guard signals >= 0, linux_pipe(&report) == 0 else { return 1 }
    let command = linux_fork()
    if command == 0 { CommandProcess(plan).become(at: terminal, reporting: report[1]) }
    close(report[1])
    guard command > 0 else {
      try channel.send(SandboxMessage.unstartable(errno).bytes)
      return 1
    }
    // Whoever reads what the command writes waits for it alone.
    for descriptor in [STDIN_FILENO, STDOUT_FILENO] + (terminal.map { [$0] } ?? []) { close(descriptor) }
    var failure: Int32 = 0
    _ = fcntl(report[0], F_SETFL, 0)
    if read(report[0], &failure, MemoryLayout<Int32>.size) == MemoryLayout<Int32>.size {
      try channel.send(SandboxMessage.unstartable(failure).bytes)
      return 1
    }
    close(report[0])
    try channel.send(SandboxMessage.started.bytes)
    return try attend(command, signals)
  }

  /// What a command gets to end in when its time is over, in milliseconds.
  private static let lastWords: Int64 = 5_000

  private func attend(_ command: pid_t, _ signals: Int32) throws -> Int32 {
    var deadline = plan.limits.time.map { now() + max(1, $0.components.seconds * 1000) }
    var isOver = false
    while true {
      if let due = deadline, now() >= due {
        if isOver { return 1 }
        isOver = true
        deadline = due + Self.lastWords
        try channel.send(SandboxMessage.overtime.bytes)
        kill(-command, SIGTERM)
      }
      var ready = [
        pollfd(fd: signals, events: Int16(POLLIN), revents: 0),
        pollfd(fd: channel.descriptor, events: Int16(POLLIN), revents: 0),
      ]
      let wait = deadline.map { Int32(clamping: max(0, $0 - now())) } ?? -1
      guard poll(&ready, 2, wait) >= 0 || errno == EINTR else { return 1 }
      if ready[0].revents != 0 {
        while linux_take_signal(signals) >= 0 {}
        if let status = bury(awaiting: command) {
          try channel.send(SandboxMessage.ended(status).bytes)
          return 0
        }
      }
      guard ready[1].revents != 0 else { continue }
      // Without a gate there is nobody to ask what may leave.
      guard case .message(let bytes, _) = try channel.receive() else { return 1 }
      if case .signal(let number) = SandboxMessage(bytes) { pass(number, to: command) }
    }
  }

  /// Milliseconds of a clock that never goes back (clock_gettime(2)).
  private func now() -> Int64 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000
  }

  /// - Returns: How the command ended, if it was among those who did.
  private func bury(awaiting command: pid_t) -> Int32? {
    var ended: Int32?
    var status: Int32 = 0
    while true {
      let child = waitpid(-1, &status, WNOHANG)
      guard child > 0 else { return ended }
      guard child == command else { continue }
      ended = status & 0x7f == 0 ? status >> 8 & 0xff : 128 + (status & 0x7f)
    }
  }

  /// What a terminal sends goes to the whole group, as it would there.
  private func pass(_ number: Int32, to command: pid_t) {
    let ofTerminals = [SIGINT, SIGQUIT, SIGHUP, SIGWINCH]
    kill(ofTerminals.contains(number) ? -command : command, number)
  }
}
