import Glibc

extension ConfinementProfile {
  /// What the process that looks up whose socket is whose may do: ask the kernel, read what it says of processes, and answer its parent.
  ///
  /// Landlock would keep it from looking at any process that is not beneath it (landlock(7), ptrace restrictions), so
  /// system calls alone are limited: it opens files to read, and makes, changes and sends nothing.
  public static func witness() -> ConfinementProfile {
    ConfinementProfile(
      role: "witness", capabilities: [.sysPtrace, .dacReadSearch], landlock: nil, filter: .witness())
  }
}

extension SeccompFilter {
  /// The witness's system calls.
  static func witness(pid: Int32 = getpid()) -> SeccompFilter {
    var filter = SeccompFilter()
    filter.allowMemoryAndEnd(pid: pid)
    filter.allow(
      .read, .close, .fcntl, .sendto, .recvfrom, .sendmsg, .recvmsg, .getdents64, .readlink, .readlinkat,
      .stat,
      .fstat, .newfstatat, .statx, .lseek)
    // To read, and neither to make nor to cut: O_WRONLY, O_RDWR, O_CREAT and O_TRUNC are not among the flags.
    filter.allow(.openat, when: .bits(2, 0o1103, are: 0))
    filter.allow(.open, when: .bits(1, 0o1103, are: 0))
    return filter
  }
}
