import Addressing

extension Policy {
  /// Whether what a client says first may yet open a connection to `host`: some
  /// `https` or `http` rule could speak of it. For an address, also one about a
  /// name, which may come with the first bytes; which agents that one speaks of
  /// is then not looked at.
  ///
  /// Decides nothing: only how long the first bytes are worth waiting for.
  public func mayOpenByContent(_ host: Host, _ port: Port, agent: AgentName, at now: Timestamp) -> Bool {
    if case .address = host, index.webPorts.contains(where: { $0.contains(Int(port.number)) }) { return true }
    var isFound = false
    let query = Query(host: host, port: port, traffic: .web, agent: agent, now: now)
    walk(query) { candidate, failures in
      guard failures.isSubset(of: .request), !index.facts[Int(candidate.rule)].isDeny else { return }
      isFound = true
    }
    return isFound
  }
}
