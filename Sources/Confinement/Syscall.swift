/// A system call by the name the kernel has for it, with its number on each architecture.
///
/// - Source: asm/unistd_64.h for x86_64; asm-generic/unistd.h, which aarch64 uses. A test compares both.
public struct Syscall: Hashable, Sendable, CustomStringConvertible {
  /// As in the header, without `__NR_`.
  public let name: String
  /// On x86_64; nil where it does not exist there.
  let x86: UInt32?
  /// On aarch64; nil where it does not exist there.
  let arm: UInt32?

  public var description: String { name }

  init(_ name: String, x86: UInt32?, arm: UInt32?) {
    (self.name, self.x86, self.arm) = (name, x86, arm)
  }

  /// The number; nil where the architecture has no such call.
  public func number(on architecture: Architecture) -> UInt32? {
    architecture == .amd64 ? x86 : arm
  }
}

// MARK: - Memory

extension Syscall {
  public static let mmap = Self("mmap", x86: 9, arm: 222)
  public static let mprotect = Self("mprotect", x86: 10, arm: 226)
  public static let munmap = Self("munmap", x86: 11, arm: 215)
  public static let mremap = Self("mremap", x86: 25, arm: 216)
  public static let madvise = Self("madvise", x86: 28, arm: 233)
  public static let brk = Self("brk", x86: 12, arm: 214)
  public static let mincore = Self("mincore", x86: 27, arm: 232)
  public static let mlock = Self("mlock", x86: 149, arm: 228)
  public static let membarrier = Self("membarrier", x86: 324, arm: 283)
  public static let memfdCreate = Self("memfd_create", x86: 319, arm: 279)
  public static let userfaultfd = Self("userfaultfd", x86: 323, arm: 282)
}

// MARK: - Descriptors and their content

extension Syscall {
  public static let read = Self("read", x86: 0, arm: 63)
  public static let write = Self("write", x86: 1, arm: 64)
  public static let readv = Self("readv", x86: 19, arm: 65)
  public static let writev = Self("writev", x86: 20, arm: 66)
  public static let pread64 = Self("pread64", x86: 17, arm: 67)
  public static let pwrite64 = Self("pwrite64", x86: 18, arm: 68)
  public static let preadv = Self("preadv", x86: 295, arm: 69)
  public static let pwritev = Self("pwritev", x86: 296, arm: 70)
  public static let preadv2 = Self("preadv2", x86: 327, arm: 286)
  public static let pwritev2 = Self("pwritev2", x86: 328, arm: 287)
  public static let close = Self("close", x86: 3, arm: 57)
  public static let closeRange = Self("close_range", x86: 436, arm: 436)
  public static let dup = Self("dup", x86: 32, arm: 23)
  public static let dup2 = Self("dup2", x86: 33, arm: nil)
  public static let dup3 = Self("dup3", x86: 292, arm: 24)
  public static let fcntl = Self("fcntl", x86: 72, arm: 25)
  public static let ioctl = Self("ioctl", x86: 16, arm: 29)
  public static let lseek = Self("lseek", x86: 8, arm: 62)
  public static let splice = Self("splice", x86: 275, arm: 76)
  public static let tee = Self("tee", x86: 276, arm: 77)
  public static let vmsplice = Self("vmsplice", x86: 278, arm: 75)
  public static let sendfile = Self("sendfile", x86: 40, arm: 71)
  public static let copyFileRange = Self("copy_file_range", x86: 326, arm: 285)
  public static let pipe = Self("pipe", x86: 22, arm: nil)
  public static let pipe2 = Self("pipe2", x86: 293, arm: 59)
  public static let eventfd2 = Self("eventfd2", x86: 290, arm: 19)
  public static let timerfdCreate = Self("timerfd_create", x86: 283, arm: 85)
  public static let timerfdSettime = Self("timerfd_settime", x86: 286, arm: 86)
  public static let timerfdGettime = Self("timerfd_gettime", x86: 287, arm: 87)
  public static let signalfd4 = Self("signalfd4", x86: 289, arm: 74)
  public static let flock = Self("flock", x86: 73, arm: 32)
  public static let fsync = Self("fsync", x86: 74, arm: 82)
  public static let fdatasync = Self("fdatasync", x86: 75, arm: 83)
  public static let syncFileRange = Self("sync_file_range", x86: 277, arm: 84)
  public static let ftruncate = Self("ftruncate", x86: 77, arm: 46)
  public static let fallocate = Self("fallocate", x86: 285, arm: 47)
  public static let fadvise64 = Self("fadvise64", x86: 221, arm: 223)
}

// MARK: - Files by name

extension Syscall {
  public static let open = Self("open", x86: 2, arm: nil)
  public static let openat = Self("openat", x86: 257, arm: 56)
  public static let openat2 = Self("openat2", x86: 437, arm: 437)
  public static let stat = Self("stat", x86: 4, arm: nil)
  public static let lstat = Self("lstat", x86: 6, arm: nil)
  public static let fstat = Self("fstat", x86: 5, arm: 80)
  public static let newfstatat = Self("newfstatat", x86: 262, arm: 79)
  public static let statx = Self("statx", x86: 332, arm: 291)
  public static let access = Self("access", x86: 21, arm: nil)
  public static let faccessat = Self("faccessat", x86: 269, arm: 48)
  public static let faccessat2 = Self("faccessat2", x86: 439, arm: 439)
  public static let readlink = Self("readlink", x86: 89, arm: nil)
  public static let readlinkat = Self("readlinkat", x86: 267, arm: 78)
  public static let getdents64 = Self("getdents64", x86: 217, arm: 61)
  public static let getcwd = Self("getcwd", x86: 79, arm: 17)
  public static let mkdir = Self("mkdir", x86: 83, arm: nil)
  public static let mkdirat = Self("mkdirat", x86: 258, arm: 34)
  public static let unlink = Self("unlink", x86: 87, arm: nil)
  public static let unlinkat = Self("unlinkat", x86: 263, arm: 35)
  public static let rename = Self("rename", x86: 82, arm: nil)
  public static let renameat = Self("renameat", x86: 264, arm: 38)
  public static let renameat2 = Self("renameat2", x86: 316, arm: 276)
  public static let chmod = Self("chmod", x86: 90, arm: nil)
  public static let fchmod = Self("fchmod", x86: 91, arm: 52)
  public static let fchmodat = Self("fchmodat", x86: 268, arm: 53)
  public static let fchown = Self("fchown", x86: 93, arm: 55)
  public static let fchownat = Self("fchownat", x86: 260, arm: 54)
  public static let umask = Self("umask", x86: 95, arm: 166)
  public static let statfs = Self("statfs", x86: 137, arm: 43)
  public static let fstatfs = Self("fstatfs", x86: 138, arm: 44)
  public static let utimensat = Self("utimensat", x86: 280, arm: 88)
  public static let link = Self("link", x86: 86, arm: nil)
  public static let linkat = Self("linkat", x86: 265, arm: 37)
  public static let symlink = Self("symlink", x86: 88, arm: nil)
  public static let symlinkat = Self("symlinkat", x86: 266, arm: 36)
  public static let mknod = Self("mknod", x86: 133, arm: nil)
  public static let mknodat = Self("mknodat", x86: 259, arm: 33)
  public static let chroot = Self("chroot", x86: 161, arm: 51)
  public static let openByHandleAt = Self("open_by_handle_at", x86: 304, arm: 265)
  public static let nameToHandleAt = Self("name_to_handle_at", x86: 303, arm: 264)
  public static let truncate = Self("truncate", x86: 76, arm: 45)
}

// MARK: - Sockets

extension Syscall {
  public static let socket = Self("socket", x86: 41, arm: 198)
  public static let socketpair = Self("socketpair", x86: 53, arm: 199)
  public static let bind = Self("bind", x86: 49, arm: 200)
  public static let connect = Self("connect", x86: 42, arm: 203)
  public static let listen = Self("listen", x86: 50, arm: 201)
  public static let accept = Self("accept", x86: 43, arm: 202)
  public static let accept4 = Self("accept4", x86: 288, arm: 242)
  public static let getsockname = Self("getsockname", x86: 51, arm: 204)
  public static let getpeername = Self("getpeername", x86: 52, arm: 205)
  public static let getsockopt = Self("getsockopt", x86: 55, arm: 209)
  public static let setsockopt = Self("setsockopt", x86: 54, arm: 208)
  public static let sendto = Self("sendto", x86: 44, arm: 206)
  public static let recvfrom = Self("recvfrom", x86: 45, arm: 207)
  public static let sendmsg = Self("sendmsg", x86: 46, arm: 211)
  public static let recvmsg = Self("recvmsg", x86: 47, arm: 212)
  public static let sendmmsg = Self("sendmmsg", x86: 307, arm: 269)
  public static let recvmmsg = Self("recvmmsg", x86: 299, arm: 243)
  public static let shutdown = Self("shutdown", x86: 48, arm: 210)
}

// MARK: - Waiting

extension Syscall {
  public static let poll = Self("poll", x86: 7, arm: nil)
  public static let ppoll = Self("ppoll", x86: 271, arm: 73)
  public static let select = Self("select", x86: 23, arm: nil)
  public static let pselect6 = Self("pselect6", x86: 270, arm: 72)
  public static let epollCreate1 = Self("epoll_create1", x86: 291, arm: 20)
  public static let epollCtl = Self("epoll_ctl", x86: 233, arm: 21)
  public static let epollWait = Self("epoll_wait", x86: 232, arm: nil)
  public static let epollPwait = Self("epoll_pwait", x86: 281, arm: 22)
  public static let epollPwait2 = Self("epoll_pwait2", x86: 441, arm: 441)
  public static let nanosleep = Self("nanosleep", x86: 35, arm: 101)
  public static let clockNanosleep = Self("clock_nanosleep", x86: 230, arm: 115)
  public static let restartSyscall = Self("restart_syscall", x86: 219, arm: 128)
  public static let pause = Self("pause", x86: 34, arm: nil)
}

// MARK: - Time

extension Syscall {
  public static let clockGettime = Self("clock_gettime", x86: 228, arm: 113)
  public static let clockGetres = Self("clock_getres", x86: 229, arm: 114)
  public static let gettimeofday = Self("gettimeofday", x86: 96, arm: 169)
  public static let time = Self("time", x86: 201, arm: nil)
  public static let clockSettime = Self("clock_settime", x86: 227, arm: 112)
  public static let settimeofday = Self("settimeofday", x86: 164, arm: 170)
  public static let adjtimex = Self("adjtimex", x86: 159, arm: 171)
  public static let clockAdjtime = Self("clock_adjtime", x86: 305, arm: 266)
}

// MARK: - Threads

extension Syscall {
  public static let clone = Self("clone", x86: 56, arm: 220)
  public static let clone3 = Self("clone3", x86: 435, arm: 435)
  public static let fork = Self("fork", x86: 57, arm: nil)
  public static let vfork = Self("vfork", x86: 58, arm: nil)
  public static let futex = Self("futex", x86: 202, arm: 98)
  public static let futexWaitv = Self("futex_waitv", x86: 449, arm: 449)
  public static let setRobustList = Self("set_robust_list", x86: 273, arm: 99)
  public static let getRobustList = Self("get_robust_list", x86: 274, arm: 100)
  public static let setTidAddress = Self("set_tid_address", x86: 218, arm: 96)
  public static let rseq = Self("rseq", x86: 334, arm: 293)
  public static let gettid = Self("gettid", x86: 186, arm: 178)
  public static let schedYield = Self("sched_yield", x86: 24, arm: 124)
  public static let schedGetaffinity = Self("sched_getaffinity", x86: 204, arm: 123)
  public static let schedSetaffinity = Self("sched_setaffinity", x86: 203, arm: 122)
  public static let schedGetparam = Self("sched_getparam", x86: 143, arm: 121)
  public static let schedGetscheduler = Self("sched_getscheduler", x86: 145, arm: 120)
  public static let schedSetscheduler = Self("sched_setscheduler", x86: 144, arm: 119)
  public static let schedGetPriorityMax = Self("sched_get_priority_max", x86: 146, arm: 125)
  public static let schedGetPriorityMin = Self("sched_get_priority_min", x86: 147, arm: 126)
  public static let exit = Self("exit", x86: 60, arm: 93)
  public static let exitGroup = Self("exit_group", x86: 231, arm: 94)
  public static let archPrctl = Self("arch_prctl", x86: 158, arm: nil)
  public static let getcpu = Self("getcpu", x86: 309, arm: 168)
}

// MARK: - Signals

extension Syscall {
  public static let rtSigaction = Self("rt_sigaction", x86: 13, arm: 134)
  public static let rtSigprocmask = Self("rt_sigprocmask", x86: 14, arm: 135)
  public static let rtSigreturn = Self("rt_sigreturn", x86: 15, arm: 139)
  public static let rtSigtimedwait = Self("rt_sigtimedwait", x86: 128, arm: 137)
  public static let rtSigqueueinfo = Self("rt_sigqueueinfo", x86: 129, arm: 138)
  public static let rtSigsuspend = Self("rt_sigsuspend", x86: 130, arm: 133)
  public static let rtSigpending = Self("rt_sigpending", x86: 127, arm: 136)
  public static let sigaltstack = Self("sigaltstack", x86: 131, arm: 132)
  public static let kill = Self("kill", x86: 62, arm: 129)
  public static let tkill = Self("tkill", x86: 200, arm: 130)
  public static let tgkill = Self("tgkill", x86: 234, arm: 131)
  public static let pidfdSendSignal = Self("pidfd_send_signal", x86: 424, arm: 424)
  public static let pidfdOpen = Self("pidfd_open", x86: 434, arm: 434)
  public static let pidfdGetfd = Self("pidfd_getfd", x86: 438, arm: 438)
  public static let wait4 = Self("wait4", x86: 61, arm: 260)
  public static let waitid = Self("waitid", x86: 247, arm: 95)
}

// MARK: - The process and the host

extension Syscall {
  public static let getpid = Self("getpid", x86: 39, arm: 172)
  public static let getppid = Self("getppid", x86: 110, arm: 173)
  public static let getuid = Self("getuid", x86: 102, arm: 174)
  public static let geteuid = Self("geteuid", x86: 107, arm: 175)
  public static let getgid = Self("getgid", x86: 104, arm: 176)
  public static let getegid = Self("getegid", x86: 108, arm: 177)
  public static let getgroups = Self("getgroups", x86: 115, arm: 158)
  public static let getresuid = Self("getresuid", x86: 118, arm: 148)
  public static let getresgid = Self("getresgid", x86: 120, arm: 150)
  public static let setuid = Self("setuid", x86: 105, arm: 146)
  public static let setgid = Self("setgid", x86: 106, arm: 144)
  public static let setresuid = Self("setresuid", x86: 117, arm: 147)
  public static let setresgid = Self("setresgid", x86: 119, arm: 149)
  public static let setgroups = Self("setgroups", x86: 116, arm: 159)
  public static let getrlimit = Self("getrlimit", x86: 97, arm: 163)
  public static let setrlimit = Self("setrlimit", x86: 160, arm: 164)
  public static let prlimit64 = Self("prlimit64", x86: 302, arm: 261)
  public static let getrusage = Self("getrusage", x86: 98, arm: 165)
  public static let getpriority = Self("getpriority", x86: 140, arm: 141)
  public static let setpriority = Self("setpriority", x86: 141, arm: 140)
  public static let sysinfo = Self("sysinfo", x86: 99, arm: 179)
  public static let uname = Self("uname", x86: 63, arm: 160)
  public static let getrandom = Self("getrandom", x86: 318, arm: 278)
  public static let prctl = Self("prctl", x86: 157, arm: 167)
  public static let capget = Self("capget", x86: 125, arm: 90)
  public static let capset = Self("capset", x86: 126, arm: 91)
  public static let seccomp = Self("seccomp", x86: 317, arm: 277)
  public static let personality = Self("personality", x86: 135, arm: 92)
  public static let getpgrp = Self("getpgrp", x86: 111, arm: nil)
  public static let getpgid = Self("getpgid", x86: 121, arm: 155)
  public static let setpgid = Self("setpgid", x86: 109, arm: 154)
  public static let setsid = Self("setsid", x86: 112, arm: 157)
  public static let getsid = Self("getsid", x86: 124, arm: 156)
}

// MARK: - What nobody is to call who reads the network's bytes

extension Syscall {
  public static let execve = Self("execve", x86: 59, arm: 221)
  public static let execveat = Self("execveat", x86: 322, arm: 281)
  public static let ptrace = Self("ptrace", x86: 101, arm: 117)
  public static let processVmReadv = Self("process_vm_readv", x86: 310, arm: 270)
  public static let processVmWritev = Self("process_vm_writev", x86: 311, arm: 271)
  public static let kcmp = Self("kcmp", x86: 312, arm: 272)
  public static let bpf = Self("bpf", x86: 321, arm: 280)
  public static let perfEventOpen = Self("perf_event_open", x86: 298, arm: 241)
  public static let ioUringSetup = Self("io_uring_setup", x86: 425, arm: 425)
  public static let ioUringEnter = Self("io_uring_enter", x86: 426, arm: 426)
  public static let ioUringRegister = Self("io_uring_register", x86: 427, arm: 427)
  public static let ioSetup = Self("io_setup", x86: 206, arm: 0)
  public static let keyctl = Self("keyctl", x86: 250, arm: 219)
  public static let addKey = Self("add_key", x86: 248, arm: 217)
  public static let requestKey = Self("request_key", x86: 249, arm: 218)
  public static let mount = Self("mount", x86: 165, arm: 40)
  public static let umount2 = Self("umount2", x86: 166, arm: 39)
  public static let mountSetattr = Self("mount_setattr", x86: 442, arm: 442)
  public static let moveMount = Self("move_mount", x86: 429, arm: 429)
  public static let fsopen = Self("fsopen", x86: 430, arm: 430)
  public static let fsmount = Self("fsmount", x86: 432, arm: 432)
  public static let openTree = Self("open_tree", x86: 428, arm: 428)
  public static let pivotRoot = Self("pivot_root", x86: 155, arm: 41)
  public static let unshare = Self("unshare", x86: 272, arm: 97)
  public static let setns = Self("setns", x86: 308, arm: 268)
  public static let initModule = Self("init_module", x86: 175, arm: 105)
  public static let finitModule = Self("finit_module", x86: 313, arm: 273)
  public static let deleteModule = Self("delete_module", x86: 176, arm: 106)
  public static let kexecLoad = Self("kexec_load", x86: 246, arm: 104)
  public static let kexecFileLoad = Self("kexec_file_load", x86: 320, arm: 294)
  public static let reboot = Self("reboot", x86: 169, arm: 142)
  public static let swapon = Self("swapon", x86: 167, arm: 224)
  public static let sethostname = Self("sethostname", x86: 170, arm: 161)
  public static let setdomainname = Self("setdomainname", x86: 171, arm: 162)
  public static let syslog = Self("syslog", x86: 103, arm: 116)
  public static let acct = Self("acct", x86: 163, arm: 89)
  public static let quotactl = Self("quotactl", x86: 179, arm: 60)
  public static let landlockCreateRuleset = Self("landlock_create_ruleset", x86: 444, arm: 444)
  public static let landlockAddRule = Self("landlock_add_rule", x86: 445, arm: 445)
  public static let landlockRestrictSelf = Self("landlock_restrict_self", x86: 446, arm: 446)
  public static let fanotifyInit = Self("fanotify_init", x86: 300, arm: 262)
  public static let inotifyInit1 = Self("inotify_init1", x86: 294, arm: 26)
  public static let inotifyAddWatch = Self("inotify_add_watch", x86: 254, arm: 27)
  public static let iopl = Self("iopl", x86: 172, arm: nil)
  public static let ioperm = Self("ioperm", x86: 173, arm: nil)
  public static let nfsservctl = Self("nfsservctl", x86: 180, arm: 42)
  public static let processMadvise = Self("process_madvise", x86: 440, arm: 440)
  public static let vhangup = Self("vhangup", x86: 153, arm: 58)
  public static let lookupDcookie = Self("lookup_dcookie", x86: 212, arm: 18)
  public static let mbind = Self("mbind", x86: 237, arm: 235)
  public static let movePages = Self("move_pages", x86: 279, arm: 239)
  public static let migratePages = Self("migrate_pages", x86: 256, arm: 238)
  public static let setMempolicy = Self("set_mempolicy", x86: 238, arm: 237)
  public static let shmget = Self("shmget", x86: 29, arm: 194)
  public static let shmat = Self("shmat", x86: 30, arm: 196)
  public static let msgget = Self("msgget", x86: 68, arm: 186)
  public static let semget = Self("semget", x86: 64, arm: 190)
  public static let mqOpen = Self("mq_open", x86: 240, arm: 180)
}

extension Syscall {
  /// All that have a name here.
  public static let all = ofGates + ofPrograms

  /// All of the above.
  private static let ofGates: [Syscall] = [
    .mmap, .mprotect, .munmap, .mremap, .madvise, .brk, .mincore, .mlock, .membarrier, .memfdCreate,
    .userfaultfd, .read, .write, .readv, .writev, .pread64, .pwrite64, .preadv, .pwritev, .preadv2,
    .pwritev2, .close, .closeRange, .dup, .dup2, .dup3, .fcntl, .ioctl, .lseek, .splice, .tee, .vmsplice,
    .sendfile, .copyFileRange, .pipe, .pipe2, .eventfd2, .timerfdCreate, .timerfdSettime, .timerfdGettime,
    .signalfd4, .flock, .fsync, .fdatasync, .syncFileRange, .ftruncate, .fallocate, .fadvise64, .open,
    .openat, .openat2, .stat, .lstat, .fstat, .newfstatat, .statx, .access, .faccessat, .faccessat2,
    .readlink, .readlinkat, .getdents64, .getcwd, .mkdir, .mkdirat, .unlink, .unlinkat, .rename, .renameat,
    .renameat2, .chmod, .fchmod, .fchmodat, .fchown, .fchownat, .umask, .statfs, .fstatfs, .utimensat,
    .link, .linkat, .symlink, .symlinkat, .mknod, .mknodat, .chroot, .openByHandleAt, .nameToHandleAt,
    .truncate, .socket, .socketpair, .bind, .connect, .listen, .accept, .accept4, .getsockname,
    .getpeername, .getsockopt, .setsockopt, .sendto, .recvfrom, .sendmsg, .recvmsg, .sendmmsg, .recvmmsg,
    .shutdown, .poll, .ppoll, .select, .pselect6, .epollCreate1, .epollCtl, .epollWait, .epollPwait,
    .epollPwait2, .nanosleep, .clockNanosleep, .restartSyscall, .pause, .clockGettime, .clockGetres,
    .gettimeofday, .time, .clockSettime, .settimeofday, .adjtimex, .clockAdjtime, .clone, .clone3, .fork,
    .vfork, .futex, .futexWaitv, .setRobustList, .getRobustList, .setTidAddress, .rseq, .gettid,
    .schedYield, .schedGetaffinity, .schedSetaffinity, .schedGetparam, .schedGetscheduler,
    .schedSetscheduler, .schedGetPriorityMax, .schedGetPriorityMin, .exit, .exitGroup, .archPrctl, .getcpu,
    .rtSigaction, .rtSigprocmask, .rtSigreturn, .rtSigtimedwait, .rtSigqueueinfo, .rtSigsuspend,
    .rtSigpending, .sigaltstack, .kill, .tkill, .tgkill, .pidfdSendSignal, .pidfdOpen, .pidfdGetfd, .wait4,
    .waitid, .getpid, .getppid, .getuid, .geteuid, .getgid, .getegid, .getgroups, .getresuid, .getresgid,
    .setuid, .setgid, .setresuid, .setresgid, .setgroups, .getrlimit, .setrlimit, .prlimit64, .getrusage,
    .getpriority, .setpriority, .sysinfo, .uname, .getrandom, .prctl, .capget, .capset, .seccomp,
    .personality, .getpgrp, .getpgid, .setpgid, .setsid, .getsid, .execve, .execveat, .ptrace,
    .processVmReadv, .processVmWritev, .kcmp, .bpf, .perfEventOpen, .ioUringSetup, .ioUringEnter,
    .ioUringRegister, .ioSetup, .keyctl, .addKey, .requestKey, .mount, .umount2, .mountSetattr, .moveMount,
    .fsopen, .fsmount, .openTree, .pivotRoot, .unshare, .setns, .initModule, .finitModule, .deleteModule,
    .kexecLoad, .kexecFileLoad, .reboot, .swapon, .sethostname, .setdomainname, .syslog, .acct, .quotactl,
    .landlockCreateRuleset, .landlockAddRule, .landlockRestrictSelf, .fanotifyInit, .inotifyInit1,
    .inotifyAddWatch, .iopl, .ioperm, .nfsservctl, .processMadvise, .vhangup, .lookupDcookie, .mbind,
    .movePages, .migratePages, .setMempolicy, .shmget, .shmat, .msgget, .semget, .mqOpen,
  ]
}
