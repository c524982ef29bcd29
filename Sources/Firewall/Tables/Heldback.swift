/// Packets that are counted, and sampled to the log, together.
///
/// Each has a counter with a name, which goes on when the rules change, and its
/// samples carry the same name: what was counted and not heard of was lost.
public struct Heldback: Hashable, Sendable {
  /// Why the table did not simply let them pass. The raw value begins the counter's name.
  public enum Cause: String, Hashable, Sendable, CaseIterable {
    /// No rule grants it.
    case denied
    /// It passed, and enforce mode would have denied it.
    case audited
    /// It is no flow's, would begin one in the middle, or holds a routing header.
    case odd
    /// It claims to come from elsewhere.
    case spoofed
    /// It was to be routed where nothing is.
    case unforwarded
    /// It came by a link that was closed, made anew or renamed, or to an agent's proxy by none of that agent's.
    case stranger
    /// It was sent beside the IP stack. No sample of these is taken.
    case frame
  }

  public var cause: Cause
  /// Whose they are: the place among the agents that are fenced in; nil where
  /// there is but one, or none is known.
  public var agent: Int?

  public init(_ cause: Cause, of agent: Int? = nil) { (self.cause, self.agent) = (cause, agent) }

  /// The name of the counter, and of the chain that counts with it.
  public var name: String { agent.map { "\(cause.rawValue)_\($0)" } ?? cause.rawValue }

  public init?(named name: some StringProtocol) {
    let parts = name.split(separator: "_", omittingEmptySubsequences: false)
    guard let cause = parts.first.flatMap({ Cause(rawValue: String($0)) }), parts.count <= 2 else {
      return nil
    }
    let agent = parts.dropFirst().first.map { Int($0) }
    // A number there is has to be one.
    if case .some(.none) = agent { return nil }
    self.init(cause, of: agent ?? nil)
  }

  /// What a sample is called: the log's prefix.
  var prefix: String { "exitgate:\(name)" }

  init?(prefix: String) {
    guard prefix.hasPrefix("exitgate:") else { return nil }
    self.init(named: prefix.dropFirst("exitgate:".count))
  }

  /// Logs a sample and counts all.
  ///
  /// Each kind of protocol has a sample of its own, so that a flood of one does
  /// not hide the first of another.
  func rules(logGroup: UInt16) -> [Rule] {
    let icmp: [Datum] = [.icmp, .icmpv6], named: [Datum] = [.tcp, .udp] + icmp
    let kinds: [[Expression]] = [
      [.compare(.l4proto, .tcp)], [.compare(.l4proto, .udp)], [.oneOf(.l4proto, icmp)],
      named.map { .compare(.l4proto, $0, .notEqual) },
    ]
    return kinds.map {
      Rule($0 + [.limit(perSecond: 20, burst: 50), .log(group: logGroup, snaplen: 128, prefix: prefix)])
    } + [Rule(.count(name))]
  }

  /// A chain that lets nobody know.
  func silentChain(logGroup: UInt16, note: String? = nil) -> Chain {
    Chain(name, note: note, rules: rules(logGroup: logGroup) + [Rule(.drop)])
  }
}
