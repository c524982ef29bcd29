import Foundation
import Testing

@testable import Confinement

/// One call as the kernel shows it to a filter.
struct Call {
  var architecture: UInt32
  var number: UInt32
  var arguments: [UInt64]

  /// `struct seccomp_data` on a little-endian machine, as words.
  var words: [UInt32] {
    [number, architecture, 0, 0]
      + arguments.flatMap {
        [UInt32(truncatingIfNeeded: $0), UInt32(truncatingIfNeeded: $0 >> 32)]
      }
  }
}

/// Runs a program as the kernel does, and refuses one that the kernel would refuse.
func run(_ program: [FilterInstruction], on call: Call) throws -> UInt32 {
  var accumulator: UInt32 = 0, next = 0
  for _ in 0...program.count {
    let instruction = try #require(program.indices.contains(next) ? program[next] : nil, "a jump out")
    next += 1
    switch instruction.code {
    case 0x20:
      try #require(instruction.k % 4 == 0 && instruction.k < 64)
      accumulator = call.words[Int(instruction.k / 4)]
    case 0x54: accumulator &= instruction.k
    case 0x05: next += Int(instruction.k)
    case 0x15:
      next += Int(accumulator == instruction.k ? instruction.jumpTrue : instruction.jumpFalse)
    case 0x35:
      next += Int(accumulator >= instruction.k ? instruction.jumpTrue : instruction.jumpFalse)
    case 0x06: return instruction.k
    default: throw Unknown(code: instruction.code)
    }
  }
  throw Unknown(code: 0)
}

struct Unknown: Error { var code: UInt16 }

/// What a filter says of a call, by its rules alone.
func plainAnswer(_ filter: SeccompFilter, _ architecture: Architecture, _ call: Call) -> SeccompFilter.Action
{
  let last = Syscall.all.compactMap { $0.number(on: architecture) }.max() ?? 0
  if call.architecture != architecture.auditValue { return .kill }
  if architecture == .amd64, call.number >= 0x4000_0000 { return .kill }
  if call.number > last { return .fail(ENOSYS) }
  guard
    let entry = filter.entries.first(where: { $0.key.number(on: architecture) == call.number })?.value
  else { return filter.otherwise }
  if entry.alternatives.isEmpty { return entry.action }
  let holds = entry.alternatives.contains { tests in
    tests.allSatisfy { call.arguments[$0.index] & $0.mask == $0.value }
  }
  return holds ? entry.action : entry.otherwise ?? filter.otherwise
}

@Suite struct SeccompFilterTests {
  static let filters: [(String, SeccompFilter)] = [
    ("gate", .gate(pid: 4711)), ("keeper", .keeper(pid: 4711)), ("command", .command()),
    ("nothing", SeccompFilter(otherwise: .kill)),
  ]

  /// Values that some rule looks for, their neighbours, and the bits above an int.
  static let interesting: [UInt64] = [
    0, 1, 2, 3, 4, 5, 6, 7, 10, 12, 16, 17, 38, 40, 4711, 0x5401, 0x5411, 0x5413, 0x5412, 0x541B, 15,
    0x5356_4d41, 0x800, 0x80001, 0x80801, 0x80802, 0x80803, 0x10100, 0x3d0f00, 0x1000_0000 | 0x10100, 0x100,
    0x11, 0x1000_0000, 0x4000_0000, 0x20000, 0x40000, 0x80, 0x5412 | 1 << 40, 1 << 32, 1 << 32 | 2, .max,
    0xffff_ffff,
  ]

  @Test("the program answers as its rules do, for every number and any arguments", arguments: filters)
  func oracle(_ name: String, _ filter: SeccompFilter) throws {
    var random = SystemRandomNumberGenerator()
    for architecture in Architecture.allCases {
      let program = filter.program(for: architecture)
      try #require(program.count <= 4096, "BPF_MAXINSNS")
      for number in UInt32(0)...700 {
        for _ in 0..<40 {
          let arguments = (0..<6).map { _ in
            Self.interesting.randomElement(using: &random) ?? 0
          }
          let call = Call(architecture: architecture.auditValue, number: number, arguments: arguments)
          let expected = plainAnswer(filter, architecture, call).code
          #expect(try run(program, on: call) == expected, "\(name): \(number)(\(arguments))")
        }
      }
    }
  }

  @Test("SBX-07: another architecture's call and an x32 call kill", arguments: filters)
  func foreign(_ name: String, _ filter: SeccompFilter) throws {
    let i386: UInt32 = 0x4000_0003
    for number in [UInt32(0), 1, 39, 41, 0x4000_0000, 0x4000_0029, 0x7fff_ffff, 0xffff_ffff] {
      for architecture in Architecture.allCases {
        let program = filter.program(for: architecture)
        for foreign in [i386, 0, 0xC000_003E, 0xC000_00B7] where foreign != architecture.auditValue {
          let call = Call(architecture: foreign, number: number, arguments: [0, 0, 0, 0, 0, 0])
          #expect(try run(program, on: call) == SeccompFilter.Action.kill.code)
        }
      }
      let own = Call(architecture: 0xC000_003E, number: number, arguments: [0, 0, 0, 0, 0, 0])
      if number >= 0x4000_0000 {
        #expect(try run(filter.program(for: .amd64), on: own) == SeccompFilter.Action.kill.code)
      }
    }
  }

  static let never: [Syscall] = [
    .execve, .execveat, .fork, .vfork, .ptrace, .processVmReadv, .processVmWritev, .pidfdGetfd, .pidfdOpen,
    .kcmp, .bpf, .perfEventOpen, .ioUringSetup, .ioUringEnter, .ioUringRegister, .ioSetup, .keyctl, .addKey,
    .requestKey, .mount, .umount2, .mountSetattr, .moveMount, .fsopen, .fsmount, .openTree, .pivotRoot,
    .chroot, .unshare, .setns, .initModule, .finitModule, .deleteModule, .kexecLoad, .kexecFileLoad, .reboot,
    .swapon, .userfaultfd, .kill, .tkill, .setuid, .setgid, .setresuid, .setresgid, .setgroups, .capset,
    .openByHandleAt, .mknod, .mknodat, .symlink, .symlinkat, .link, .linkat, .setrlimit, .seccomp,
    .personality, .clockSettime, .settimeofday, .syslog, .iopl, .ioperm, .memfdCreate, .fanotifyInit,
    .socketpair, .acct, .quotactl, .sethostname,
  ]

  @Test("what a taken-over gate would want is in no profile", arguments: never)
  func denied(_ call: Syscall) throws {
    for (name, filter) in Self.filters where name != "command" {
      #expect(!filter.allowed.contains(call))
      for architecture in Architecture.allCases {
        guard let number = call.number(on: architecture) else { continue }
        for value in Self.interesting {
          let asked = Call(
            architecture: architecture.auditValue, number: number,
            arguments: [UInt64](repeating: value, count: 6))
          #expect(try run(filter.program(for: architecture), on: asked) == filter.otherwise.code)
        }
      }
    }
  }

  struct Case: Sendable, CustomTestStringConvertible {
    var call: Syscall, arguments: [UInt64], allowed: Bool, because: String
    var testDescription: String { "\(call): \(because)" }
  }

  static let gateCases = [
    Case(
      call: .socket, arguments: [2, 0x80801, 0], allowed: true, because: "TCP, non-blocking and close-on-exec"
    ),
    Case(call: .socket, arguments: [10, 0x80802, 17], allowed: true, because: "UDP over IPv6"),
    Case(
      call: .socket, arguments: [1, 0x80002, 0], allowed: true, because: "a datagram to the service manager"),
    Case(call: .socket, arguments: [16, 0x80003, 0], allowed: true, because: "addresses of interfaces"),
    Case(call: .socket, arguments: [16, 0x80003, 12], allowed: false, because: "netfilter is the keeper's"),
    Case(call: .socket, arguments: [2, 3, 255], allowed: false, because: "raw IP"),
    Case(call: .socket, arguments: [2, 2, 1], allowed: false, because: "ping sockets"),
    Case(call: .socket, arguments: [2, 1, 132], allowed: false, because: "SCTP"),
    Case(call: .socket, arguments: [2, 1, 262], allowed: false, because: "MPTCP"),
    Case(call: .socket, arguments: [17, 3, 0x0300], allowed: false, because: "packet sockets"),
    Case(call: .socket, arguments: [38, 5, 0], allowed: false, because: "kernel cryptography"),
    Case(
      call: .socket, arguments: [40, 1, 0], allowed: false,
      because: "NFT-25: vsock leaves a microVM past nftables"),
    Case(call: .socket, arguments: [2, 10, 0], allowed: false, because: "SOCK_PACKET"),
    Case(call: .mmap, arguments: [0, 4096, 3, 0x22], allowed: true, because: "memory"),
    Case(call: .mmap, arguments: [0, 4096, 5, 2], allowed: false, because: "a library"),
    Case(call: .mmap, arguments: [0, 4096, 7, 0x22], allowed: false, because: "memory to write code to"),
    Case(call: .mprotect, arguments: [0, 4096, 1], allowed: true, because: "memory that is read"),
    Case(
      call: .mprotect, arguments: [0, 4096, 5], allowed: false, because: "memory that was written, as code"),
    Case(call: .clone, arguments: [0x3d0f00], allowed: true, because: "a thread, as glibc makes one"),
    Case(call: .clone, arguments: [0x1200011], allowed: false, because: "a child, as fork(3) makes one"),
    Case(
      call: .clone, arguments: [0x4000_0000 | 0x3d0f00], allowed: false,
      because: "a thread in another network"),
    Case(call: .clone, arguments: [0x1000_0011], allowed: false, because: "a user namespace"),
    Case(call: .tgkill, arguments: [4711, 1, 15], allowed: true, because: "its own threads"),
    Case(call: .tgkill, arguments: [1, 1, 9], allowed: false, because: "another process"),
    Case(call: .ioctl, arguments: [3, 0x5411], allowed: true, because: "what a socket has not sent yet"),
    Case(call: .ioctl, arguments: [0, 0x5412], allowed: false, because: "TIOCSTI types into a terminal"),
    Case(call: .prctl, arguments: [15], allowed: true, because: "names of threads"),
    Case(call: .prctl, arguments: [8], allowed: false, because: "PR_SET_KEEPCAPS"),
    Case(call: .prctl, arguments: [4, 1], allowed: false, because: "PR_SET_DUMPABLE"),
    Case(call: .prlimit64, arguments: [0, 7, 0], allowed: true, because: "reading its own limits"),
    Case(call: .prlimit64, arguments: [0, 7, 4096], allowed: false, because: "setting them"),
    Case(call: .prlimit64, arguments: [77, 7, 0], allowed: false, because: "another process's limits"),
  ]

  @Test("the gate's calls with arguments", arguments: gateCases)
  func gate(_ wanted: Case) throws {
    for architecture in Architecture.allCases {
      let number = try #require(wanted.call.number(on: architecture))
      let arguments = wanted.arguments + [UInt64](repeating: 0, count: 6 - wanted.arguments.count)
      let call = Call(architecture: architecture.auditValue, number: number, arguments: arguments)
      let code = try run(SeccompFilter.gate(pid: 4711).program(for: architecture), on: call)
      #expect((code == SeccompFilter.Action.allow.code) == wanted.allowed, "\(wanted.because)")
    }
  }

  @Test("clone3 fails as on a kernel without it, so that glibc uses clone")
  func clone3() throws {
    let call = Call(architecture: 0xC000_003E, number: 435, arguments: [0, 0, 0, 0, 0, 0])
    #expect(try run(SeccompFilter.gate().program(for: .amd64), on: call) == 0x0005_0000 | UInt32(ENOSYS))
  }

  @Test("the keeper opens netfilter's netlink sockets, and no other")
  func keeperSockets() throws {
    for (family, kind, transport, allowed) in [
      (16, 0x80003, 12, true), (16, 3, 12, true), (16, 3, 0, false), (16, 2, 12, false), (2, 1, 0, false),
      (1, 1, 0, false), (17, 3, 0, false),
    ] as [(UInt64, UInt64, UInt64, Bool)] {
      let call = Call(architecture: 0xC000_003E, number: 41, arguments: [family, kind, transport, 0, 0, 0])
      let code = try run(SeccompFilter.keeper().program(for: .amd64), on: call)
      #expect((code == SeccompFilter.Action.allow.code) == allowed)
    }
    for call in [Syscall.openat, .open, .connect, .listen, .unlink, .rename, .clone] {
      #expect(!SeccompFilter.keeper().allowed.contains(call))
    }
  }

  @Test(
    "the page opens Unix streams to a gate and asks for addresses, listens nowhere else, and runs nothing")
  func pageSockets() throws {
    for (family, kind, transport, allowed) in [
      (1, 0x80001, 0, true), (1, 1, 0, true), (1, 2, 0, false), (2, 1, 0, false), (2, 2, 17, false),
      (10, 1, 6, false), (16, 3, 0, true), (16, 3, 12, false), (17, 3, 0, false),
    ] as [(UInt64, UInt64, UInt64, Bool)] {
      let call = Call(architecture: 0xC000_003E, number: 41, arguments: [family, kind, transport, 0, 0, 0])
      let code = try run(SeccompFilter.page().program(for: .amd64), on: call)
      #expect((code == SeccompFilter.Action.allow.code) == allowed)
    }
    for call in [Syscall.listen, .kill, .ptrace, .execve, .setuid, .mount] {
      #expect(!SeccompFilter.page().allowed.contains(call))
    }
  }

  @Test("a condition said twice holds by either, and said without one always")
  func alternatives() throws {
    var filter = SeccompFilter(otherwise: .kill)
    filter.allow(.prctl, when: .word(0, is: 1), .argument(1, is: 1 << 40))
    filter.allow(.prctl, when: .word(0, is: -1))
    let program = filter.program(for: .arm64)
    for (first, second, allowed) in [
      (1, 1 << 40, true), (1, 0, false), (1, 1, false), (0xffff_ffff, 0, true),
      (7 << 32 | 0xffff_ffff, 0, true),
      (2, 1 << 40, false),
    ] as [(UInt64, UInt64, Bool)] {
      let call = Call(architecture: 0xC000_00B7, number: 167, arguments: [first, second, 0, 0, 0, 0])
      #expect((try run(program, on: call) == SeccompFilter.Action.allow.code) == allowed)
    }
    filter.allow([.prctl])
    filter.allow(.prctl, when: .word(0, is: 9))
    let call = Call(architecture: 0xC000_00B7, number: 167, arguments: [2, 0, 0, 0, 0, 0])
    #expect(try run(filter.program(for: .arm64), on: call) == SeccompFilter.Action.allow.code)
  }
}
