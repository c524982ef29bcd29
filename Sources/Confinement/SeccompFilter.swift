import CLinux
import Glibc
import SystemPackage

/// Which system calls a process may make: a list of what is let through, and
/// an answer for all the rest.
///
/// The kernel looks at every call before it begins; a filter cannot be taken
/// away again and is inherited by threads and children. Pointers are not
/// followed, so a rule sees numbers and flags, never names of files.
///
/// - Source: seccomp(2).
public struct SeccompFilter: Hashable, Sendable {
  /// What becomes of a call.
  public enum Action: Hashable, Sendable {
    /// It is made.
    case allow
    /// It fails with this errno.
    case fail(Int32)
    /// The process is killed by SIGSYS.
    case kill

    /// SECCOMP_RET_*.
    var code: UInt32 {
      switch self {
      case .allow: 0x7fff_0000
      case .fail(let errno): 0x0005_0000 | UInt32(errno) & 0xffff
      case .kill: 0x8000_0000
      }
    }
  }

  /// What one argument must be.
  public struct Test: Hashable, Sendable {
    /// Its place, from 0 to 5.
    var index: Int
    /// The bits that are looked at.
    var mask: UInt64
    /// What they must be.
    var value: UInt64

    /// The argument is exactly this.
    public static func argument(_ index: Int, is value: UInt64) -> Test {
      Test(index: index, mask: .max, value: value)
    }

    /// The low 32 bits are this: what the kernel takes as an `int` has any bits above.
    public static func word(_ index: Int, is value: Int32) -> Test {
      Test(index: index, mask: 0xffff_ffff, value: UInt64(UInt32(bitPattern: value)))
    }

    /// Of these bits exactly those of `value` are set.
    public static func bits(_ index: Int, _ mask: UInt64, are value: UInt64) -> Test {
      Test(index: index, mask: mask, value: value)
    }

    /// None of these bits is set.
    public static func bits(_ index: Int, without mask: UInt64) -> Test {
      Test(index: index, mask: mask, value: 0)
    }
  }

  /// What is known about one call: let through where one of the alternatives holds whole.
  struct Entry: Hashable, Sendable {
    var action: Action
    /// Each a list of tests that must all hold; empty: no test.
    var alternatives: [[Test]]
    /// What becomes of it where none holds; nil: what becomes of all that is not named.
    var otherwise: Action?
  }

  /// What becomes of a call that no rule lets through.
  public var otherwise: Action
  private(set) var entries: [Syscall: Entry] = [:]

  /// Makes a filter that lets nothing through.
  public init(otherwise: Action = .fail(EPERM)) { self.otherwise = otherwise }

  /// Lets calls through, whatever their arguments.
  public mutating func allow(_ first: Syscall, _ second: Syscall, _ others: Syscall...) {
    allow([first, second] + others)
  }

  /// Lets calls through, whatever their arguments.
  public mutating func allow(_ calls: [Syscall]) {
    for call in calls { entries[call] = Entry(action: .allow, alternatives: []) }
  }

  /// Lets a call through when all of `tests` hold; said twice, either will do.
  public mutating func allow(_ call: Syscall, when tests: Test...) {
    if let entry = entries[call], entry.action == .allow, entry.alternatives.isEmpty { return }
    entries[call, default: Entry(action: .allow, alternatives: [])].alternatives.append(tests)
  }

  /// Answers a call with `action` when all of `tests` hold, and lets it through else; said twice, either answers.
  public mutating func refuse(_ call: Syscall, with action: Action, when tests: Test...) {
    entries[call, default: Entry(action: action, alternatives: [], otherwise: .allow)].alternatives.append(
      tests)
  }

  /// Answers a call in this way where it is let through only under conditions and none of them holds.
  public mutating func answer(_ call: Syscall, unmet action: Action) {
    entries[call]?.otherwise = action
  }

  /// Answers a call in another way than `otherwise`.
  public mutating func answer(_ call: Syscall, with action: Action) {
    entries[call] = Entry(action: action, alternatives: [])
  }

  /// The calls that are let through, perhaps under conditions, by name in order.
  public var allowed: [Syscall] {
    entries.filter { $0.value.action == .allow }.keys.sorted { $0.name < $1.name }
  }
}

extension SeccompFilter {
  /// Whether the kernel has filters (SECCOMP_GET_ACTION_AVAIL, Linux 4.14).
  public static var isAvailable: Bool {
    guard let architecture = Architecture.current, let call = Syscall.seccomp.number(on: architecture) else {
      return false
    }
    var action = Action.kill.code
    return withUnsafeMutablePointer(to: &action) {
      linux_syscall(Int(call), Int(SECCOMP_GET_ACTION_AVAIL), 0, Int(bitPattern: $0), 0, 0, 0) == 0
    }
  }

  /// Puts the filter in force for the calling thread, or for every thread.
  ///
  /// - Parameter everyThread: SECCOMP_FILTER_FLAG_TSYNC: all or none.
  /// - Precondition: no_new_privs, or CAP_SYS_ADMIN.
  /// - Throws: `.refused`, `.unknownArchitecture`.
  func install(everyThread: Bool) throws(ConfinementError) {
    guard let architecture = Architecture.current else { throw .unknownArchitecture }
    let program = program(for: architecture).map {
      sock_filter(code: $0.code, jt: $0.jumpTrue, jf: $0.jumpFalse, k: $0.k)
    }
    let flags = everyThread ? UInt32(SECCOMP_FILTER_FLAG_TSYNC) : 0
    // With TSYNC a positive result is the thread that could not be changed.
    guard linux_install_filter(program, UInt16(program.count), flags) == 0 else {
      throw .refused(step: "install a seccomp filter", lastErrno())
    }
  }
}
