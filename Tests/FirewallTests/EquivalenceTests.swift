import Addressing
import Foundation
import Testing

@testable import Firewall

/// The netlink batch and the text say the same: what the kernel holds after
/// either is compared, as nft(8) lists it and as the kernel runs it.
@Suite(.enabled(if: mayMakeNamespaces, "needs root and nft(8)")) struct EquivalenceTests {
  static let tables: [(String, Table)] = [
    ("sidecar", Samples.sidecar().table),
    ("sidecar by control group", Samples.sidecar(group: group).table),
    ("sidecar that is proved", Samples.proved.table),
    ("sidecar that only watches", Samples.audit.table),
    ("gateway", Samples.gateway.table),
    ("gateway in audit mode", Samples.auditing.table),
    ("closed", ClosedTable(logGroup: 5).table),
    ("command", CommandTable(transparentPort: 15001, dnsPort: 15353, logGroup: 5).table),
    ("egress", EgressTable(devices: ["lo"]).table),
    ("the rest", everythingElse),
  ]

  /// A folder that is there wherever control groups are.
  static let group = ControlGroup(level: 0, id: inode("/sys/fs/cgroup"), path: "/")

  static func inode(_ path: String) -> UInt64 {
    (try? FileManager.default.attributesOfItem(atPath: path)[.systemFileNumber] as? UInt64) ?? 1
  }

  /// What the tables do not use, or not in this form.
  static let everythingElse: Table = {
    let (set, element) = Grants.learned(.v4(0x0b00_0001), port: 123, mark: 9, timeout: .seconds(300))
    var learned = set
    learned.elements = [element]
    return Table(
      TableName(.inet, "rest"), sets: [learned],
      chains: [
        Chain(
          "c",
          rules: [
            Rule(.lookup([.ipSource], set: "raw4s", .notEqual), .return),
            Rule(.compare(.ip6Source, .prefix(.synthetic6), .notEqual), .accept),
            Rule(.state([.established, .related, .untracked]), .accept, comment: "a comment"),
            Rule(
              .compare(.anySourcePort, .ports(1...5)), .compare(.udpDestinationPort, .ports(7...7)), .drop),
            Rule(.compare(.tcpSourcePort, .port(65535), .notEqual), .counter),
            Rule(.oneOf(.oifname, [.interface("eth0"), .interface("fifteen-letters")]), .drop),
          ])
      ]
    ).with(NFSet.blocks("raw4s", .ipv4Address, Samples.floor.always4 + Samples.floor.private4))
  }()

  @Test("the kernel holds the same by either way", arguments: tables.indices)
  func same(_ index: Int) throws {
    let (label, table) = Self.tables[index]
    let byText = try Namespace(), byBatch = try Namespace()
    try byText.run("nft", "-f", "-", input: table.text)
    try byBatch.enter { try NetfilterSocket().claim([table], ownership: .plain) }
    let name = [table.name.family.rawValue, table.name.name]
    let listings = try [byText, byBatch].map { space in
      let code = try space.run("nft", "--debug=netlink", "list", "table", name[0], name[1]).output
        .replacing(/expires \w+/, with: "expires")
      return (
        json: try normalised(space.run("nft", "-j", "list", "table", name[0], name[1]).output),
        code: inOrder(code.split(separator: "\n").map(String.init))
      )
    }
    #expect(listings[0].json.count > 3)
    expectEqual(listings[0].json, listings[1].json, label)
    expectEqual(listings[0].code, listings[1].code, label)
  }

  /// Hashed sets list their elements in any order, so these are put into one.
  private func inOrder(_ lines: [String]) -> [String] {
    let isElement = { (line: String) in line.contains("element") }
    return lines.filter { !isElement($0) } + lines.filter(isElement).sorted()
  }

  private func expectEqual(_ byText: [String], _ byBatch: [String], _ label: String) {
    let difference = byBatch.difference(from: byText)
    #expect(difference.isEmpty, "\(label): \(difference.map { "\n\($0)" }.joined())")
  }

  /// The objects of a listing, one a line, without what differs from load to load.
  private func normalised(_ json: String) throws -> [String] {
    let root = try JSONSerialization.jsonObject(with: Data(json.utf8)) as? [String: Any]
    let objects = try #require(root?["nftables"] as? [Any])
    return try objects.map { object in
      let data = try JSONSerialization.data(withJSONObject: object, options: [.sortedKeys])
      return String(decoding: data, as: UTF8.self).replacing(/"handle":\d+,?/, with: "")
        .replacing(/"expires":\d+,?/, with: "")
    }
  }
}

extension Table {
  func with(_ set: NFSet) -> Table {
    var copy = self
    copy.sets.append(set)
    return copy
  }
}
