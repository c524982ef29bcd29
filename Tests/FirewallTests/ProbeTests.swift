import Foundation
import Testing

@testable import Firewall

@Suite struct ControlGroupFolderTests {
  static let rows: [(mountinfo: String, cgroup: String, folder: String?)] = [
    (
      "41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw", "4:memory:/x\n0::/a/b\n",
      "/sys/fs/cgroup/unified/a/b"
    ),
    ("41 31 0:38 / /sys/fs/cgroup rw,a shared:9 - cgroup2 none rw", "0::/\n", "/sys/fs/cgroup"),
    ("41 31 0:38 /kube/pod /sys/fs/cgroup rw - cgroup2 none rw", "0::/kube/pod/c1\n", "/sys/fs/cgroup/c1"),
    ("41 31 0:38 /kube/pod /sys/fs/cgroup rw - cgroup2 none rw", "0::/kube/podium\n", nil),
    ("41 31 0:38 /.. /sys/fs/cgroup rw - cgroup2 none rw", "0::/c1\n", "/sys/fs/cgroup/c1"),
    ("41 31 0:38 / /sys/fs/cgroup rw - cgroup cgroup rw,memory", "0::/\n", nil),
    ("41 31 0:38 / /sys/fs/cgroup rw - cgroup2 none rw", "4:memory:/x\n", nil),
    ("", "", nil),
  ]

  @Test("the folder is where the mount and the process's path say", arguments: rows.indices)
  func folder(_ index: Int) {
    let row = Self.rows[index]
    #expect(CgroupProbe.folder(mountinfo: row.mountinfo, cgroup: row.cgroup) == row.folder)
  }

  @Test func text() {
    #expect(CgroupProbe.path(of: "/sys/fs/cgroup/unified/a") == "unified/a")
    #expect(CgroupProbe.path(of: "/mnt/groups/a") == "../../../mnt/groups/a")
    #expect(CgroupProbe.path(of: "/sys/fs/cgroup") == "", "what a container sees of its own group")
  }
}

/// Against the kernel itself.
@Suite(.enabled(if: mayMakeNamespaces, "needs root and nft(8)")) struct ProbeTests {
  @Test("this kernel has every part that the tables need", arguments: KernelProbe.Mode.allCases)
  func features(_ mode: KernelProbe.Mode) throws {
    let space = try Namespace()
    let findings = try space.enter { try KernelProbe.run(mode) }
    #expect(findings.count > 10)
    for finding in findings { #expect(finding.isSupported, "\(finding)") }
    #expect(try space.run("nft", "list", "tables").output.isEmpty, "the scratch table is gone")
  }

  @Test("NFT-24: a part that is missing is named, and the others are tried all the same")
  func missing() throws {
    let broken = KernelProbe.Feature("teleportation", loss: "everything", .jump("nowhere"))
    let space = try Namespace()
    let findings = try space.enter {
      try KernelProbe.run([broken, KernelProbe.Feature("counters", loss: "sight", .counter)])
    }
    #expect(findings.filter { !$0.isSupported }.map(\.feature) == ["teleportation"])
    #expect(findings.first?.error?.problem == .absent)
    #expect(findings.map(\.feature).contains("counters"))
    #expect(try space.run("nft", "list", "tables").output.isEmpty)
  }

  @Test("without CAP_NET_ADMIN the probe says what to do")
  func notPermitted() throws {
    let error = NetfilterError("open", errno: EPERM)
    #expect(error.description.contains("CAP_NET_ADMIN") && error.description.contains("Run as root"))
  }

  @Test("the control group of this process is found by counting; the root group is said to be none")
  func cgroup() throws {
    let root = try #require(CgroupProbe.ownFolder())
    let space = try Namespace()
    if inode(root + "/cgroup.events") == nil {
      #expect(try space.enter { try CgroupProbe.run() } == .isRoot)
    }
    let folder = root + "/exitgate-test-\(getpid())"
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: false)
    defer {
      // What other tests started meanwhile is in it too, and a folder in use cannot be removed.
      for pid in (readText(folder + "/cgroup.procs") ?? "").split(separator: "\n") {
        try? String(pid).write(toFile: root + "/cgroup.procs", atomically: false, encoding: .utf8)
      }
      #expect(rmdir(folder) == 0)
    }
    try "\(getpid())".write(toFile: folder + "/cgroup.procs", atomically: false, encoding: .utf8)
    let finding = Result { try space.enter { try CgroupProbe.run() } }
    try "\(getpid())".write(toFile: root + "/cgroup.procs", atomically: false, encoding: .utf8)
    guard case .matches(let group, _) = try finding.get() else {
      Issue.record("\(finding)")
      return
    }
    #expect(group.id == inode(folder) && group.path == CgroupProbe.path(of: folder))
    #expect(try space.run("nft", "list", "tables").output.isEmpty)
  }
}
