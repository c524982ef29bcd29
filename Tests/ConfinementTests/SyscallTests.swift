import Foundation
import Testing

@testable import Confinement

@Suite struct SyscallTests {
  /// The numbers that a kernel header gives, where it is installed.
  static func numbers(in path: String) -> [String: UInt32]? {
    guard let text = try? String(contentsOfFile: path, encoding: .utf8) else { return nil }
    var found: [String: UInt32] = [:]
    for match in text.matches(of: /(?m)^#define __NR(3264)?_(\w+)\s+(\d+)/) {
      // In the generic table calls of two widths have one number under a name of their own.
      let name = match.1 != nil && match.2 == "fstatat" ? "newfstatat" : String(match.2)
      found[name] = UInt32(match.3)
    }
    return found
  }

  @Test("every number is that of the kernel's header")
  func headers() throws {
    let x86 = Self.numbers(in: "/usr/include/x86_64-linux-gnu/asm/unistd_64.h")
    let arm = Self.numbers(in: "/usr/include/asm-generic/unistd.h")
    try #require(x86 != nil || arm != nil, "linux-libc-dev is not installed")
    for call in Syscall.all {
      if let x86 { #expect(call.number(on: .amd64) == x86[call.name], "\(call)") }
      if let arm { #expect(call.number(on: .arm64) == arm[call.name], "\(call)") }
    }
  }

  @Test("no call is in the table twice", arguments: Architecture.allCases)
  func unique(_ architecture: Architecture) {
    let numbers = Syscall.all.compactMap { $0.number(on: architecture) }
    #expect(Set(numbers).count == numbers.count)
    #expect(Set(Syscall.all.map(\.name)).count == Syscall.all.count)
  }
}

@Suite struct CapabilityTests {
  @Test("names and numbers are those of the kernel's header")
  func header() throws {
    let text = try String(contentsOfFile: "/usr/include/linux/capability.h", encoding: .utf8)
    let found = text.matches(of: /(?m)^#define CAP_([A-Z_]+)\s+(\d+)$/).map { (String($0.1), Int($0.2)) }
    for (name, number) in found {
      let number = try #require(number)
      #expect(Capabilities.names[number] == name.lowercased())
    }
    #expect(found.count == Capabilities.names.count)
  }

  static let texts: [(Capabilities, String)] = [
    ([], "none"), (.netAdmin, "net_admin"), ([.netRaw, .dacOverride], "dac_override,net_raw"),
    (Capabilities(rawValue: 1 << 63), "63"), (.sysAdmin, "sys_admin"), (.sysPtrace, "sys_ptrace"),
    (.setpcap, "setpcap"), (.netBindService, "net_bind_service"), (.kill, "kill"),
  ]

  @Test("sets are written by name", arguments: texts)
  func text(_ set: Capabilities, _ text: String) { #expect("\(set)" == text) }
}

@Suite struct ReportTests {
  static let status = """
    Name:\texitgate-keeper
    Pid:\t77
    Uid:\t2001\t2001\t2001\t2001
    Gid:\t2002\t2002\t2002\t2002
    Groups:\t4 24\u{20}
    CapInh:\t0000000000000000
    CapPrm:\t0000000000001000
    CapEff:\t0000000000001000
    CapBnd:\t000001ffffffffff
    CapAmb:\t0000000000000000
    NoNewPrivs:\t1
    Seccomp:\t2
    Seccomp_filters:\t1
    """

  @Test("a status file is read field by field")
  func reading() throws {
    let report = try #require(ProcessReport(Self.status))
    #expect(report.pid == 77 && report.name == "exitgate-keeper")
    #expect(report.identity == Identity(user: 2001, group: 2002) && report.groups == [4, 24])
    #expect(report.capabilities.effective == .netAdmin && report.capabilities.isWithin(.netAdmin))
    #expect(!report.capabilities.isWithin([]))
    #expect(report.hasNoNewPrivileges && report.isFiltered && report.filters == 1)
  }

  @Test("what is missing or no number makes no report", arguments: ["Uid", "CapEff", "Pid", "CapBnd"])
  func broken(_ field: String) {
    #expect(ProcessReport(Self.status.replacing("\(field):", with: "\(field)x:")) == nil)
  }

  @Test("this process reads itself as the kernel says it is")
  func own() throws {
    let report = try #require(ProcessReport.read())
    #expect(report.identity == Identity.current && report.pid == getpid())
    #expect(report.capabilities.effective == Capabilities.ofThisThread)
    #expect(ProcessReport.threads(of: getpid()).count >= 1)
    #expect(ProcessReport.read(0x7fff_fff0) == nil)
  }
}

@Suite struct UserTableTests {
  static let table = UserTable(
    text: """
      root:x:0:0:root:/root:/bin/sh
      exitgate:x:2001:2002::/:/usr/sbin/nologin
      exitgate:x:3:3::/:/bin/sh
      broken:x:abc:1::/:/bin/sh
      minus:x:4294967295:1::/:/bin/sh
      :x:5:5::/:/bin/sh
      """)

  @Test(
    "users are found by name and by number",
    arguments: [("exitgate", 2001, 2002), ("root", 0, 0), ("2001", 2001, 2002), ("4711", 4711, 4711)])
  func found(_ word: String, _ user: UInt32, _ group: UInt32) throws {
    #expect(try Self.table.find(word) == Identity(user: user, group: group))
  }

  @Test(
    "what has no line of sense is nobody", arguments: ["nobody", "broken", "minus", "", "-1", "4294967295"])
  func unknown(_ word: String) {
    #expect(throws: ConfinementError.noUser(word)) { try Self.table.find(word) }
  }
}

@Suite struct LandlockTests {
  @Test(
    "what a kernel cannot hold to is said, ABI by ABI",
    arguments: [(7, 0), (6, 0), (5, 1), (4, 2), (3, 3), (2, 4), (1, 5)])
  func gaps(_ abi: Int, _ count: Int) {
    var rules = LandlockRuleset()
    rules.deniesTCP = true
    // Of ABI 5 one thing is missing (6), of ABI 4 two, and so on.
    #expect(rules.gaps(abi: abi).count == min(count, 5))
    #expect(rules.gaps(abi: nil).count == 1)
  }

  @Test("a kernel is handed no right it does not know")
  func known() {
    #expect(LandlockRuleset.Rights.known(to: 1).rawValue == 0x1fff)
    #expect(LandlockRuleset.Rights.known(to: 2).contains(.refer))
    #expect(!LandlockRuleset.Rights.known(to: 2).contains(.truncate))
    #expect(LandlockRuleset.Rights.known(to: 4).contains(.truncate))
    #expect(LandlockRuleset.Rights.known(to: 7).rawValue == 0xffff)
  }

  @Test("a path that is not there is told, not fatal", .enabled(if: Landlock.abi != nil))
  func missing() throws {
    var rules = LandlockRuleset()
    rules.allow(.read, beneath: "/nowhere/at/all")
    rules.allow([.read, .write], beneath: "/etc/passwd")
    rules.allow(.read, beneath: "/etc")
    for abi in 1...(Landlock.abi ?? 1) {
      let prepared = try rules.prepare(abi: abi)
      #expect(prepared.outcome.missing == ["/nowhere/at/all"])
    }
  }
}
