import Crypto
import Policy

/// Tells which agent a client is: by the listener it uses, which it cannot
/// forge, or by the token it shows.
public struct AgentDirectory: Sendable {
  private var byListener: [ListenAddress: Agent] = [:]
  private var byToken: [[UInt8]: Agent] = [:]
  private var byName: [AgentName: Agent] = [:]
  /// Where clients may come by; nil when that is not known.
  private let open: Set<ListenAddress>?
  /// Who everybody is, whatever the policy says of listeners and tokens; nil where that tells.
  private let sole: AgentName?

  /// Builds the directory of a policy's agents.
  ///
  /// - Parameter listeners: What is bound. A connection that a listener left
  ///   behind is then nobody's, and not the default agent's.
  /// - Parameter sole: Who whoever comes is, where none but one can come.
  public init(_ agents: [Agent], listeners: [ListenAddress]? = nil, sole: AgentName? = nil) {
    open = listeners.map(Set.init)
    self.sole = sole
    for agent in agents {
      byName[agent.name] = agent
      if let listen = agent.listen { byListener[listen] = agent }
      if let token = agent.tokenSHA256 { byToken[token] = agent }
    }
  }

  /// The listeners the policy asks for.
  var listeners: [ListenAddress] { Array(byListener.keys) }

  /// Returns who a client of `listener` is that shows `token`.
  ///
  /// A listener that belongs to an agent names it; where that agent has a token
  /// too, both must be right. On a shared listener a token is needed as soon as
  /// any agent has one; else everybody is the default agent.
  ///
  /// - Returns: nil when the token is missing or wrong, or the listener gone (407).
  func agent(on listener: ListenAddress, token: [UInt8]?) -> AgentName? {
    if let open, !open.contains(listener) { return nil }
    if let sole { return sole }
    if let owner = byListener[listen: listener] {
      guard let expected = owner.tokenSHA256 else { return owner.name }
      return token.map(digest) == expected ? owner.name : nil
    }
    guard !byToken.isEmpty else { return .default }
    guard let token, let agent = byToken[digest(token)], agent.listen == nil else { return nil }
    return agent.name
  }

  /// The agent that `listener` belongs to, whether or not its client has shown its token.
  func owner(of listener: ListenAddress) -> AgentName? {
    sole ?? byListener[listen: listener]?.name
  }

  /// The agents of `old` that are gone or have another token now: whoever was
  /// taken for one of them is not any more.
  func strangers(since old: AgentDirectory) -> Set<AgentName> {
    Set(
      old.byName.values.lazy.filter {
        byName[$0.name]?.tokenSHA256 != $0.tokenSHA256 || byName[$0.name] == nil
      }.map(\.name))
  }

  /// Whether clients of `listener` must show a token.
  func needsToken(on listener: ListenAddress) -> Bool {
    guard sole == nil else { return false }
    return byListener[listen: listener].map { $0.tokenSHA256 != nil } ?? !byToken.isEmpty
  }
}

extension Dictionary where Key == ListenAddress, Value == Agent {
  fileprivate subscript(listen address: ListenAddress) -> Agent? {
    isEmpty ? nil : self[address]
  }
}

/// Tokens are compared by their digests alone, so the time a comparison takes
/// says nothing about the token.
private func digest(_ token: [UInt8]) -> [UInt8] {
  Array(SHA256.hash(data: token))
}
