import Foundation
import Testing

@testable import Firewall

/// What is heard of devices that come, change and go.
@Suite(.enabled(if: mayMakeNamespaces, "needs root and ip(8)")) struct LinkWatchTests {
  private let space: Namespace, other: Namespace
  private let watch: Box<LinkWatch>

  init() throws {
    (space, other) = try (Namespace(), Namespace())
    try space.run("ip", "link", "add", "v0", "index", "700", "type", "veth", "peer", "name", "v1")
    watch = try space.enter { Box(try LinkWatch()) }
  }

  /// All that has come by now.
  private func heard() -> LinkWatch.Report {
    var all = LinkWatch.Report()
    while true {
      let some = watch.value.receive()
      guard !some.isEmpty else { return all }
      all.changes += some.changes
      all.isOverrun = all.isOverrun || some.isOverrun
    }
  }

  @Test("OPS-04: a device that is moved in gets the number of the one that went, and both are told in order")
  func moved() throws {
    #expect(heard().isEmpty)
    try other.run("ip", "link", "add", "v0", "index", "700", "type", "veth", "peer", "name", "e0")
    try space.run("ip", "link", "del", "v0")
    try other.run("ip", "link", "set", "v0", "netns", "\(space.pid)")
    let told = heard().changes.filter {
      switch $0 {
      case .present(let link), .absent(let link): link.name == "v0"
      }
    }
    let absent = try #require(told.firstIndex { if case .absent = $0 { true } else { false } })
    let present = try #require(told.lastIndex { if case .present = $0 { true } else { false } })
    #expect(absent < present)
    let links = try watch.value.links()
    #expect(links.first { $0.name == "v0" }?.index == 700, "the kernel gave it the old number: \(links)")
    // What is moved away is gone just as well.
    try space.run("ip", "link", "set", "v0", "netns", "\(other.pid)")
    #expect(heard().changes.contains(.absent(NetworkLink("v0", index: 700, isUp: false))))
    #expect(try !watch.value.links().contains { $0.index == 700 })
  }

  @Test("OPS-04: a port of a bridge is told by its number, and is not gone when it leaves the bridge")
  func enslaved() throws {
    try space.run("ip", "link", "add", "b0", "type", "bridge")
    try space.run("ip", "link", "set", "v0", "master", "b0")
    let bridge = try #require(try watch.value.links().first { $0.name == "b0" }).index
    #expect(heard().changes.contains(.present(NetworkLink("v0", index: 700, isUp: false, master: bridge))))
    try space.run("ip", "link", "set", "v0", "nomaster")
    let after = heard().changes
    #expect(after.contains(.present(NetworkLink("v0", index: 700, isUp: false))))
    #expect(!after.contains { if case .absent = $0 { true } else { false } })
  }

  @Test("OPS-04: changes that did not fit are told as lost, once, and what there is can be read anew")
  func overrun() throws {
    let flapping = (0..<12_000).map { "link set v0 \($0 % 2 == 0 ? "up" : "down")\n" }.joined()
    try space.run("ip", "-batch", "-", input: flapping)
    let report = heard()
    #expect(report.isOverrun && !report.changes.isEmpty)
    #expect(heard().isEmpty)
    #expect(try watch.value.links().contains { $0.index == 700 })
    try space.run("ip", "link", "set", "v0", "up")
    #expect(!heard().isOverrun)
  }
}
