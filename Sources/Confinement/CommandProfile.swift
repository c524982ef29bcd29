import Glibc

extension ConfinementProfile {
  /// What a command in a sandbox may do: anything a program does with its own files and processes.
  ///
  /// - Parameter files: Which of the files that are there it may use; nil: all.
  public static func command(files: LandlockRuleset?) -> ConfinementProfile {
    ConfinementProfile(role: "command", landlock: files, filter: .command())
  }
}

extension LandlockRuleset {
  /// What a kernel with this ABI cannot hold a command to, as clauses.
  public static func commandGaps(abi: Int?) -> [String] { LandlockRuleset().gaps(abi: abi) }
}

extension SeccompFilter {
  /// A command's system calls: those that are named here and not refused below. What a
  /// kernel has beyond them fails as on an older kernel, and foreign ABIs are killed.
  static func command() -> SeccompFilter {
    var filter = SeccompFilter()
    filter.allow(Syscall.all.filter { !refusedOfCommands.contains($0) && !conditional.contains($0) })
    // Programs that ask for these try something else where there is no such call.
    for call in [Syscall.ioUringSetup, .ioUringEnter, .ioUringRegister, .clone3, .modifyLdt] {
      filter.answer(call, with: .fail(ENOSYS))
    }
    filter.refuseNamespaces()
    filter.limitSockets()
    // Typing into a terminal for whoever reads it next, and into the console.
    for request in [typeInput, consoleSelection] {
      filter.refuse(.ioctl, with: .fail(EPERM), when: .bits(1, 0xffff_ffff, are: request))
    }
    for personality in personalities {
      filter.allow(.personality, when: .bits(0, 0xffff_ffff, are: personality))
    }
    return filter
  }

  private static let conditional: Set<Syscall> = [
    .socket, .socketpair, .clone, .unshare, .ioctl, .personality,
  ]

  /// Each reads, steers or replaces what is not the command's own.
  static let refusedOfCommands: Set<Syscall> = [
    // Other processes.
    .ptrace, .processVmReadv, .processVmWritev, .pidfdGetfd, .kcmp, .processMadvise, .movePages,
    .migratePages, .perfEventOpen,
    // The kernel.
    .bpf, .userfaultfd, .initModule, .finitModule, .deleteModule, .kexecLoad, .kexecFileLoad, .reboot,
    .syslog, .acct, .iopl, .ioperm, .lookupDcookie, .nfsservctl, .clockSettime, .settimeofday, .swapon,
    .swapoff, .quotactl, .quotactlFd, .fanotifyInit, .vhangup,
    // Keys, which are the user's and not the sandbox's.
    .keyctl, .addKey, .requestKey,
    // Where files are.
    .mount, .umount2, .mountSetattr, .moveMount, .fsopen, .fsconfig, .fsmount, .fspick, .openTree, .pivotRoot,
    .chroot, .openByHandleAt, .setns, .sethostname, .setdomainname,
    // Answered below.
    .ioUringSetup, .ioUringEnter, .ioUringRegister, .clone3, .modifyLdt,
  ]

  /// Within a user namespace of its own a process has every capability there.
  private mutating func refuseNamespaces() {
    for call in [Syscall.clone, .unshare] {
      for namespace in Clone.eachNamespace {
        refuse(call, with: .fail(EPERM), when: .bits(0, namespace, are: namespace))
      }
    }
  }

  /// The IP stack, Unix sockets, and of netlink the questions about addresses and routes.
  private mutating func limitSockets() {
    for family in [AF_INET, AF_INET6] {
      for kind in [SOCK_STREAM, SOCK_DGRAM] {
        allow(.socket, when: .word(0, is: family), Self.kind(Int32(kind.rawValue)))
      }
    }
    allow(.socket, when: .word(0, is: AF_UNIX))
    allow(.socket, when: .word(0, is: AF_NETLINK), .word(2, is: netlinkRoute))
    allow(.socketpair, when: .word(0, is: AF_UNIX))
    for call in [Syscall.socket, .socketpair] { answer(call, unmet: .fail(EAFNOSUPPORT)) }
  }

  /// PER_LINUX, PER_LINUX32, each with UNAME26, ADDR_NO_RANDOMIZE, and the question what it is.
  private static let personalities: [UInt64] = [0, 8, 0x20000, 0x20008, 0x40000, 0xffff_ffff]
}

// TIOCSTI and TIOCLINUX (asm-generic/ioctls.h); NETLINK_ROUTE (linux/netlink.h).
private let typeInput: UInt64 = 0x5412
private let consoleSelection: UInt64 = 0x541C
private let netlinkRoute: Int32 = 0
