import Foundation
import Synchronization
import SystemPackage
import Testing

@testable import Launcher

@Suite struct ControlGroupTests {
  /// Where this process is; which groups give what to those in them; where a group is then made, with what.
  struct Case: Sendable, CustomTestStringConvertible {
    var own: String
    var groups: [String: String]
    var found: String? = nil
    var controllers: Set<ControlGroupPlace.Controller> = []
    var because: String
    var testDescription: String { because }
  }
  static let cases = [
    Case(
      own: "0::/user/shell\n", groups: ["": "memory pids", "/user": "cpu memory pids\n", "/user/shell": ""],
      found: "/user", controllers: [.memory, .processes], because: "the nearest above that has them"),
    Case(
      own: "0::/user/shell\n", groups: ["/user": "pids", "/user/shell": "memory"], found: "/user/shell",
      controllers: [.memory], because: "its own comes first"),
    Case(
      own: "12:pids:/x\n0::/\n", groups: ["": "cpuset pids"], found: "", controllers: [.processes],
      because: "beside groups of version 1, the root of version 2"),
    Case(own: "0::/user/shell\n", groups: ["/user/shell": "cpu io"], because: "controllers of other kinds"),
    Case(
      own: "0::/../other\n", groups: ["": "memory pids"],
      because: "a group outside what this process sees"),
    Case(own: "4:memory:/x\n", groups: ["": "memory"], because: "no group of version 2"),
    Case(own: "0::/gone\n", groups: [:], because: "no tree at all"),
  ]

  @Test("a group is made in the nearest that was delegated with a controller", arguments: cases)
  func find(_ c: Case) throws {
    let mount = Self.place()
    defer { try? FileManager.default.removeItem(atPath: mount) }
    for (path, controllers) in c.groups {
      try FileManager.default.createDirectory(atPath: mount + path, withIntermediateDirectories: true)
      try controllers.write(
        toFile: "\(mount)\(path)/cgroup.subtree_control", atomically: false, encoding: .utf8)
      try "".write(toFile: "\(mount)\(path)/cgroup.procs", atomically: false, encoding: .utf8)
    }
    let place = ControlGroupPlace.find(mount: mount, own: c.own)
    #expect(place == c.found.map { ControlGroupPlace(path: mount + $0, controllers: c.controllers) })
  }

  static let kinds: [(UInt32, Set<ControlGroupPlace.Controller>, [LimitMeans], [LimitMeans])] = [
    (1000, [], [.rlimit], [.rlimit]), (0, [], [], [.rlimit]), (0, [.processes], [.cgroup], [.rlimit]),
    (1000, [.memory, .processes], [.rlimit, .cgroup], [.rlimit, .cgroup]),
  ]

  @Test("the kernel counts root's processes in a group alone", arguments: kinds)
  func means(
    _ user: UInt32, _ controllers: Set<ControlGroupPlace.Controller>, _ processes: [LimitMeans],
    _ memory: [LimitMeans]
  ) {
    let group = ControlGroupPlace(path: "/x", controllers: controllers)
    #expect(LimitMeans.ofProcesses(user: user, group) == processes)
    #expect(LimitMeans.ofMemory(group) == memory)
  }

  private static func place() -> String {
    FileManager.default.temporaryDirectory.appending(path: "groups-\(UUID().uuidString)").path()
  }

  /// A place for groups that is a plain directory, with `names` in it.
  private static func withPlace(_ names: [String] = [], _ body: (String, Int32) throws -> Void) throws {
    let path = place()
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: path) }
    for name in names {
      try FileManager.default.createDirectory(atPath: "\(path)/\(name)", withIntermediateDirectories: false)
    }
    let parent = open(path, O_RDONLY | O_DIRECTORY)
    defer { close(parent) }
    try body(path, parent)
  }

  @Test("a name that somebody took is left to them, and another is tried")
  func taken() throws {
    try Self.withPlace(["exitgate-run-0", "exitgate-run-1"]) { path, parent in
      let next = Mutex(0)
      let draw: () -> String = {
        next.withLock { number in
          defer { number += 1 }
          return "exitgate-run-\(number)"
        }
      }
      let made = try ControlGroup.make(in: parent, drawing: draw)
      close(made.lock)
      #expect(made.name == "exitgate-run-2")
      #expect(try FileManager.default.contentsOfDirectory(atPath: path).count == 3)
      #expect(throws: Errno.fileExists) {
        try ControlGroup.make(in: parent, drawing: { "exitgate-run-0" })
      }
    }
  }

  @Test("names are drawn, so that no process number of another run is in the way")
  func names() throws {
    let names = (0..<100).map { _ in ControlGroup.drawName() }
    #expect(Set(names).count == 100 && names.allSatisfy { $0.count == "exitgate-run-".count + 16 })
  }

  @Test(
    "what runs left is swept, whatever lives under its number; what a run has just made is not, from whatever namespace"
  )
  func sweep() throws {
    let own = "exitgate-run-\(getpid())"
    try Self.withPlace([own, "exitgate-run-4194304", "exitgate-other", "other"]) { path, parent in
      let made = try ControlGroup.make(in: parent)
      ControlGroup.sweep(path, parent)
      let kept = try FileManager.default.contentsOfDirectory(atPath: path)
      #expect(Set(kept) == ["exitgate-other", "other", made.name])
      close(made.lock)
      ControlGroup.sweep(path, parent)
      #expect(Set(try FileManager.default.contentsOfDirectory(atPath: path)) == ["exitgate-other", "other"])
    }
  }

  @Test("what to do about limits fits whoever runs it")
  func remedies() {
    #expect(SandboxPart.limits.remedy(for: 0).contains("as an ordinary user"))
    #expect(!SandboxPart.limits.remedy(for: 1000).contains("ordinary user"))
    for user: UInt32 in [0, 1000] {
      #expect(SandboxPart.limits.remedy(for: user).hasSuffix("or say --allow-weaker limits"))
    }
  }
}
