import Glibc
import Testing

@testable import Confinement

/// What a command in a sandbox may call, by its numbers on x86_64.
@Suite struct CommandFilterTests {
  struct Case: Sendable, CustomTestStringConvertible {
    var call: Syscall, arguments: [UInt64], answer: SeccompFilter.Action, because: String
    var testDescription: String { "\(call) \(arguments): \(because)" }
  }

  static let refused = SeccompFilter.Action.fail(EPERM)

  static let cases = [
    Case(call: .execve, arguments: [], answer: .allow, because: "it starts programs"),
    Case(call: .clone, arguments: [0x11], answer: .allow, because: "fork(3)"),
    Case(call: .clone, arguments: [0x3d0f00], answer: .allow, because: "a thread"),
    Case(call: .clone, arguments: [0x1000_0011], answer: refused, because: "a user namespace"),
    Case(call: .clone, arguments: [0x4000_0011], answer: refused, because: "a network of its own"),
    Case(call: .clone, arguments: [0x2_0011], answer: refused, because: "mounts of its own"),
    Case(call: .clone3, arguments: [], answer: .fail(ENOSYS), because: "its flags lie behind a pointer"),
    Case(call: .unshare, arguments: [0x400], answer: .allow, because: "descriptors of its own"),
    Case(call: .unshare, arguments: [0x1000_0400], answer: refused, because: "a user namespace beside it"),
    Case(call: .setns, arguments: [3, 0], answer: refused, because: "another's namespace"),
    Case(call: .socket, arguments: [2, 1, 0], answer: .allow, because: "TCP"),
    Case(call: .socket, arguments: [2, 0x80801, 6], answer: .allow, because: "TCP with flags"),
    Case(call: .socket, arguments: [10, 2, 17], answer: .allow, because: "UDP over IPv6"),
    Case(call: .socket, arguments: [2, 3, 1], answer: .fail(EAFNOSUPPORT), because: "a raw socket"),
    Case(call: .socket, arguments: [2, 10, 768], answer: .fail(EAFNOSUPPORT), because: "SOCK_PACKET"),
    Case(call: .socket, arguments: [1, 5, 0], answer: .allow, because: "a Unix socket of any kind"),
    Case(call: .socket, arguments: [16, 3, 0], answer: .allow, because: "addresses and routes"),
    Case(call: .socket, arguments: [16, 3, 12], answer: .fail(EAFNOSUPPORT), because: "netfilter"),
    Case(call: .socket, arguments: [17, 3, 768], answer: .fail(EAFNOSUPPORT), because: "frames"),
    Case(call: .socket, arguments: [38, 5, 0], answer: .fail(EAFNOSUPPORT), because: "the kernel's ciphers"),
    Case(call: .socket, arguments: [40, 1, 0], answer: .fail(EAFNOSUPPORT), because: "the hypervisor"),
    Case(
      call: .socket, arguments: [1 << 32 | 40, 1, 0], answer: .fail(EAFNOSUPPORT),
      because: "bits above an int"),
    Case(call: .socketpair, arguments: [1, 1, 0], answer: .allow, because: "between its own processes"),
    Case(call: .ioctl, arguments: [0, 0x5401], answer: .allow, because: "a terminal's settings"),
    Case(call: .ioctl, arguments: [0, 0x5412], answer: refused, because: "typing into a terminal"),
    Case(
      call: .ioctl, arguments: [0, 1 << 32 | 0x5412], answer: refused, because: "the same with bits above"),
    Case(call: .ioctl, arguments: [0, 0x541C], answer: refused, because: "the console's selection"),
    Case(call: .personality, arguments: [0xffff_ffff], answer: .allow, because: "asking"),
    Case(call: .personality, arguments: [0x400000], answer: refused, because: "READ_IMPLIES_EXEC"),
    Case(call: .ioUringSetup, arguments: [4], answer: .fail(ENOSYS), because: "sockets past this filter"),
    Case(call: .ptrace, arguments: [16], answer: refused, because: "steering others"),
    Case(call: .keyctl, arguments: [], answer: refused, because: "the user's keys"),
    Case(call: .mount, arguments: [], answer: refused, because: "other files"),
  ]

  @Test("a command's calls are answered as they should", arguments: cases)
  func answers(_ c: Case) throws {
    let number = try #require(c.call.number(on: .amd64))
    let arguments = c.arguments + [UInt64](repeating: 0, count: 6 - c.arguments.count)
    let call = Call(architecture: Architecture.amd64.auditValue, number: number, arguments: arguments)
    #expect(try run(SeccompFilter.command().program(for: .amd64), on: call) == c.answer.code, "\(c.because)")
  }

  @Test(
    "what reaches beyond the sandbox is let through under no condition",
    arguments: SeccompFilter.refusedOfCommands)
  func refusals(_ call: Syscall) { #expect(!SeccompFilter.command().allowed.contains(call)) }

  @Test("a call without a name here is as on a kernel that does not have it")
  func unknown() throws {
    let call = Call(architecture: Architecture.amd64.auditValue, number: 999, arguments: [0, 0, 0, 0, 0, 0])
    #expect(
      try run(SeccompFilter.command().program(for: .amd64), on: call)
        == SeccompFilter.Action.fail(ENOSYS).code)
  }
}
