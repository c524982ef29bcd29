import Policy

extension ListenAddress {
  /// Where a gate with these flags and this policy listens, so that `explain`
  /// puts the same addresses out of reach as the gate does.
  ///
  /// - Parameters:
  ///   - flags: The shared listeners that were asked for.
  ///   - agents: The policy's agents.
  public static func wanted(flags: [ListenAddress], agents: [Agent]) -> [ListenAddress] {
    ListenerSet.wanted(flags: flags, agents: agents)
  }
}
