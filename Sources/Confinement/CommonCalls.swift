import CLinux
import Glibc

extension SeccompFilter {
  /// What every program of ours needs: memory that is not executable, its own
  /// signals, the time, random numbers, and to end.
  mutating func allowMemoryAndEnd(pid: Int32) {
    allow(
      .munmap, .mremap, .madvise, .brk, .futex, .setRobustList, .rseq, .schedYield, .getrandom,
      .clockGettime, .clockGetres, .getpid, .gettid, .rtSigaction, .rtSigprocmask, .rtSigreturn,
      .sigaltstack, .restartSyscall, .exit, .exitGroup)
    for call in [Syscall.mmap, .mprotect] { allow(call, when: .bits(2, without: UInt64(PROT_EXEC))) }
    // raise(3) and abort(3), Dispatch's wakening of its signal thread: to this process alone.
    allow(.tgkill, when: .word(0, is: pid))
    allow(.rtSigqueueinfo, when: .word(0, is: pid))
  }

  /// Threads of this process, and nothing else that clone(2) can do.
  mutating func allowThreads() {
    let asked = Clone.thread | Clone.memory
    allow(.clone, when: .bits(0, asked | Clone.namespaces, are: asked))
    // Its flags lie behind a pointer; glibc then uses clone(2).
    answer(.clone3, with: .fail(ENOSYS))
    allow([.setTidAddress])
    for operation in [PR_SET_NAME, PR_GET_NAME, prSetVMA] {
      allow(.prctl, when: .word(0, is: operation))
    }
    // Reading limits, as the start of a thread does for the size of its stack.
    allow(.prlimit64, when: .word(0, is: 0), .argument(2, is: 0))
  }
}

/// Flags of clone(2) (linux/sched.h).
enum Clone {
  static let memory: UInt64 = 0x100
  static let thread: UInt64 = 0x10000
  /// CLONE_NEWTIME, NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET.
  static let namespaces: UInt64 = 0x80 | 0x20000 | 0x0200_0000 | 0x7C00_0000
  /// Each of them by itself.
  static let eachNamespace = (0..<64).map { UInt64(1) << $0 }.filter { $0 & namespaces != 0 }
}

/// PR_SET_VMA (linux/prctl.h): names for memory, which newer allocators give.
private let prSetVMA: Int32 = 0x5356_4d41
