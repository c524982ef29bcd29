import Addressing

/// The table of a namespace whose gate has yet to come: nothing leaves, nothing
/// comes in, and what is refused knows it at once.
///
/// It has the names of the gate's own tables, so that a gate takes its place in
/// one step and never beside it.
public struct ClosedTable: Hashable, Sendable {
  public var name: TableName
  /// The NFLOG group that denied packets are sampled to.
  public var logGroup: UInt16

  public init(name: TableName = TableName(.inet, "exitgate"), logGroup: UInt16) {
    (self.name, self.logGroup) = (name, logGroup)
  }

  public var table: Table {
    Table(
      name, counters: [Heldback(.denied).name],
      chains: [output, Common.deny(logGroup: logGroup), input, forward])
  }

  private var output: Chain {
    Chain(
      "out", Chain.Base(.filter, .output, priority: 0, policy: .drop),
      note: "Nothing leaves before the gate is there.",
      rules: [
        // Docker's own resolver: it would ask its own upstream.
        Rule(.compare(.ipDestination, .address(.v4(0x7f00_000b))), .goto("deny")),
        Rule(.compare(.oifname, .interface("lo")), .accept),
      ] + Common.linkTalk(.goto("deny")) + [Rule(.goto("deny"))])
  }

  private var input: Chain {
    Chain(
      "in", Chain.Base(.filter, .input, priority: 0, policy: .drop),
      note: "Nothing comes in either.",
      rules: [
        Rule(.compare(.iifname, .interface("lo")), .accept),
        Common.neighborDiscovery([Common.neighborSolicit, Common.neighborAdvert, Common.routerAdvert]),
      ])
  }

  private var forward: Chain {
    Chain(
      "forward_none", Chain.Base(.filter, .forward, priority: 0, policy: .drop),
      note: "Nothing is routed through.", rules: [])
  }
}
