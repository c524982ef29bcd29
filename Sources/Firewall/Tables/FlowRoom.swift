/// How many flows the kernel tracks, and what of that each agent of a gateway gets.
public struct FlowRoom: Hashable, Sendable {
  /// net.netfilter.nf_conntrack_max; nil where it is not known. Above it the kernel drops what would begin a flow, whose ever it is.
  public var most: Int?

  public init(most: Int?) { self.most = most }

  /// The flows of each of so many agents.
  ///
  /// All of them together have half of what there is. The other half is the
  /// gate's own: each connection that it carries is a second flow.
  public func limit(agents: Int) -> UInt32 {
    guard let most else { return GatewayTable.flowsPerAgent }
    return UInt32(clamping: max(1, min(Int(GatewayTable.flowsPerAgent), most / 2 / max(1, agents))))
  }

  /// How high the setting has to be for so many agents to get all that they may.
  public static func wanted(agents: Int) -> Int { Int(GatewayTable.flowsPerAgent) * 2 * agents }
}
