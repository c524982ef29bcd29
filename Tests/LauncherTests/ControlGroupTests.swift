import Foundation
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
    let mount = FileManager.default.temporaryDirectory.appending(path: "groups-\(UUID().uuidString)").path()
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
}
