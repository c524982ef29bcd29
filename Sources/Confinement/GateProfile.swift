import Glibc

extension ConfinementProfile {
  /// What the process that parses the network's bytes may do.
  ///
  /// Listeners are bound, libraries loaded and limits raised before; what is
  /// left is sockets of four kinds, files, memory that is never executable, and threads.
  ///
  /// - Parameters:
  ///   - readable: Files and directories that may be read; nil: all.
  ///   - writable: Directories in which files and sockets are made and removed:
  ///     those of the log and the control socket.
  ///   - sockets: Directories in which sockets are made and removed. Where all
  ///     may be read, sockets may be made anywhere, but removed in these alone.
  ///   - capabilities: What is kept of those the process has.
  ///   - drivesTerminal: Whether it passes a terminal on, and sets it.
  ///   - reachesAbstractSockets: Whether it may speak to abstract Unix sockets
  ///     of other processes, as a NOTIFY_SOCKET with `@` wants.
  public static func gate(
    readable: [String]? = nil, writable: [String], sockets: [String] = [], capabilities: Capabilities = [],
    identity: Identity? = nil, drivesTerminal: Bool = false, reachesAbstractSockets: Bool = false
  ) -> ConfinementProfile {
    var files = LandlockRuleset()
    if let readable {
      for path in readable { files.allow(.read, beneath: path) }
    } else {
      // A reload may name a Unix listener anywhere; to make a socket takes nothing away from anybody.
      files.allow([.read, .makeSocket], beneath: "/")
    }
    for path in writable { files.allow([.read, .write], beneath: path) }
    for path in sockets { files.allow([.read, .makeSocket, .removeFile], beneath: path) }
    if reachesAbstractSockets { files.scopes.remove(.abstractSockets) }
    return ConfinementProfile(
      role: "gate", identity: identity, capabilities: capabilities, landlock: files,
      filter: .gate(drivesTerminal: drivesTerminal))
  }

  /// What a gate that becomes nobody else keeps of what it has, which is nothing
  /// for most: files of other users that a reload may include, and ports below
  /// 1024 that it may add.
  public static let gateOfSameUser: Capabilities = [.dacReadSearch, .netBindService]
}

extension SeccompFilter {
  /// The gate's system calls.
  static func gate(pid: Int32 = getpid(), drivesTerminal: Bool = false) -> SeccompFilter {
    var filter = SeccompFilter()
    filter.allowMemoryAndEnd(pid: pid)
    filter.allowThreads()
    // The end of the keeper, its child.
    filter.allow([.wait4])
    filter.allow(gateDescriptors + gateFiles + gateSockets + gateWaiting + gateKnowledge)
    filter.allowSockets()
    filter.allowTerminal()
    for request in drivesTerminal ? terminalSettings : [] {
      filter.allow(.ioctl, when: .bits(1, 0xffff_ffff, are: request))
    }
    return filter
  }

  static let gateDescriptors: [Syscall] = [
    .read, .write, .readv, .writev, .pread64, .pwrite64, .close, .fcntl, .lseek, .splice, .tee, .pipe2,
    .eventfd2, .timerfdCreate, .timerfdSettime, .timerfdGettime, .signalfd4, .flock, .fsync, .fdatasync,
    .ftruncate, .fallocate, .fadvise64, .dup, .dup3,
  ]

  /// By name; which of them may be used where is for Landlock to say.
  static let gateFiles: [Syscall] = [
    .open, .openat, .stat, .lstat, .fstat, .newfstatat, .statx, .access, .faccessat, .faccessat2, .readlink,
    .readlinkat, .getdents64, .getcwd, .mkdir, .mkdirat, .unlink, .unlinkat, .rename, .renameat, .renameat2,
    .chmod, .fchmod, .fchmodat, .umask, .statfs, .fstatfs,
  ]

  private static let gateSockets: [Syscall] = [
    .bind, .connect, .listen, .accept, .accept4, .getsockname, .getpeername, .getsockopt, .setsockopt,
    .sendto, .recvfrom, .sendmsg, .recvmsg, .sendmmsg, .recvmmsg, .shutdown,
  ]

  static let gateWaiting: [Syscall] = [
    .poll, .ppoll, .select, .pselect6, .epollCreate1, .epollCtl, .epollWait, .epollPwait, .epollPwait2,
    .nanosleep, .clockNanosleep, .rtSigtimedwait, .rtSigsuspend,
  ]

  static let gateKnowledge: [Syscall] = [
    .gettimeofday, .time, .getuid, .geteuid, .getgid, .getegid, .getppid, .getrusage, .sysinfo, .uname,
    .getrlimit, .getpriority, .setpriority, .schedGetaffinity, .schedGetparam, .schedGetscheduler,
    .schedGetPriorityMax, .schedGetPriorityMin, .getcpu,
  ]

  /// isatty(3) and window sizes; how much a socket holds, and has not sent yet.
  mutating func allowTerminal() {
    for request in [terminalAttributes, windowSize, unreadBytes, unsentBytes] {
      allow(.ioctl, when: .bits(1, 0xffff_ffff, are: request))
    }
  }

  /// Families and kinds: no raw, packet, vsock or kernel-crypto sockets, of
  /// netlink only what getifaddrs(3) asks for addresses, of IP only TCP and UDP.
  private mutating func allowSockets() {
    let kinds = [SOCK_STREAM, SOCK_DGRAM].map { Int32($0.rawValue) }
    for family in [AF_INET, AF_INET6] {
      for kind in kinds {
        for transport in [0, Int32(IPPROTO_TCP), Int32(IPPROTO_UDP)] {
          allow(
            .socket, when: .word(0, is: family), Self.kind(kind), .word(2, is: transport))
        }
      }
    }
    for kind in kinds + [Int32(SOCK_SEQPACKET.rawValue)] {
      allow(.socket, when: .word(0, is: AF_UNIX), Self.kind(kind), .word(2, is: 0))
    }
    allowAddressQuestions()
  }

  /// What getifaddrs(3) asks for the addresses of this machine.
  mutating func allowAddressQuestions() {
    for kind in [SOCK_RAW, SOCK_DGRAM].map({ Int32($0.rawValue) }) {
      allow(.socket, when: .word(0, is: AF_NETLINK), Self.kind(kind), .word(2, is: 0))
    }
  }

  /// The kind of a socket without SOCK_NONBLOCK and SOCK_CLOEXEC (socket(2)).
  static func kind(_ kind: Int32) -> Test { .bits(1, 0xffff_ffff & ~0o2004000, are: UInt64(kind)) }
}

// Numbers of ioctl(2) that are macros (asm-generic/ioctls.h, linux/sockios.h).
private let terminalAttributes: UInt64 = 0x5401
private let windowSize: UInt64 = 0x5413
private let unreadBytes: UInt64 = 0x541B
private let unsentBytes: UInt64 = 0x5411
/// TCSETS, TCSETSW, TCSETSF, TIOCSWINSZ; TIOCGPGRP, which says who is in front.
private let terminalSettings: [UInt64] = [0x5402, 0x5403, 0x5404, 0x5414, 0x540F]
