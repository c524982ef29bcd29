import CLinux
import Glibc
import SystemPackage

/// A child that keeps a privilege for its parent, which gives the privilege up.
///
/// The parent asks by messages, the child obeys those it knows. The child ends
/// when the parent does: by the end of the channel, and where it hangs by
/// SIGKILL (PR_SET_PDEATHSIG), unless the parent has become another user, whose
/// signals do not reach it; then whoever supervises both has to. Made by fork(2) without execve(2), so only while
/// the parent has one thread.
public struct KeeperProcess {
  /// The child's number.
  public let pid: Int32
  /// The parent's end; `.ended` from it means that the child is dead.
  public let channel: MessageChannel

  /// Forks, and runs `body` in the child.
  ///
  /// The child has its own name, no descriptors but standard error, the
  /// channel and those of `keeping`, and ignores SIGPIPE and what a
  /// person sends: when to end is the parent's to say. Confining it is `body`'s
  /// first duty, after it has acquired what it needs.
  ///
  /// - Parameters:
  ///   - name: At most 15 bytes (PR_SET_NAME).
  ///   - keeping: Descriptors that stay open in the child.
  ///   - body: Runs in the child; its result is the exit status. It never runs in the parent.
  /// - Throws: `.hasThreads`, `.refused`. Nothing runs then.
  public static func start(
    name: String = "exitgate-keeper", keeping: [Int32] = [], limit: Int = MessageChannel.defaultLimit,
    body: (MessageChannel) -> Int32
  ) throws(ConfinementError) -> KeeperProcess {
    let threads = ThreadCount.threads(of: getpid()).count
    guard threads == 1 else { throw .hasThreads(threads) }
    let ends: (MessageChannel, MessageChannel)
    do { ends = try MessageChannel.pair(limit: limit) } catch {
      throw .refused(step: "make a pair of sockets", lastErrno())
    }
    let parent = getpid(), child = linux_fork()
    guard child >= 0 else { throw .refused(step: "start the keeper", lastErrno()) }
    guard child == 0 else { return KeeperProcess(pid: child, channel: ends.0) }
    prepareChild(of: parent, name: name, keeping: keeping + [ends.1.descriptor])
    // The parent's end went with the other descriptors; only its object is left, and must not close a new one.
    withExtendedLifetime(ends.0) { _exit(body(ends.1)) }
  }

  private static func prepareChild(of parent: Int32, name: String, keeping: [Int32]) {
    _ = linux_prctl(PR_SET_PDEATHSIG, UInt(SIGKILL), 0, 0, 0)
    // The parent may have died before the kernel was told.
    if getppid() != parent { _exit(0) }
    name.withCString { _ = linux_prctl(PR_SET_NAME, UInt(bitPattern: $0), 0, 0, 0) }
    for number in [SIGINT, SIGQUIT, SIGTERM, SIGHUP, SIGPIPE, SIGUSR1, SIGUSR2] { signal(number, SIG_IGN) }
    closeDescriptors(except: keeping + [STDERR_FILENO])
  }

  /// Closes every gap between the descriptors that stay.
  public static func closeDescriptors(except kept: [Int32]) {
    var next: UInt32 = 0
    for descriptor in Set(kept.map(UInt32.init)).sorted() {
      if descriptor > next { _ = linux_close_range(next, descriptor - 1) }
      next = descriptor + 1
    }
    _ = linux_close_range(next, .max)
  }

  /// Waits for the child's end.
  ///
  /// - Parameter limit: In milliseconds; nil: for as long as it takes.
  /// - Returns: Its exit status, or 128 and the signal that killed it; nil when it is no child (any more),
  ///   or has not ended in time.
  public func waitForEnd(atMost limit: Int? = nil) -> Int32? {
    var status: Int32 = 0, waited = 0
    while true {
      let result = waitpid(pid, &status, limit == nil ? 0 : WNOHANG)
      if result == pid { break }
      guard result == 0 || errno == EINTR, waited < limit ?? .max else { return nil }
      if result == 0 { usleep(1000) }
      waited += 1
    }
    return status & 0x7f == 0 ? status >> 8 & 0xff : 128 + (status & 0x7f)
  }
}
