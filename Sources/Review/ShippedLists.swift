import Addressing
import Policy
import PolicyFile

/// The allowlists that come with the program and allow something, each as a policy of its own.
///
/// Profiles and the starter are made of others, and lists that deny could take away more than they give.
public struct ShippedLists: Sendable {
  /// One of them.
  public struct List: Sendable {
    /// As `include` names it: `builtin:npm`.
    public var name: String
    /// What it says.
    public var policy: Policy
  }

  /// All of them, by name.
  public let lists: [List]

  /// Reads them.
  ///
  /// - Parameter now: For rules that run out.
  public init(at now: Timestamp) {
    let loader = PolicyLoader(runMode: .sidecar, environment: [:], workingDirectory: "/", now: now)
    lists = BuiltinAllowlists.names.compactMap { name in
      guard !name.utf8.starts(with: "profile-".utf8), name != "starter",
        let loaded = try? loader.load(text: "version: 1\ninclude: [builtin:\(name)]\n", named: name),
        loaded.policy.rules.allSatisfy({ $0.action == .allow && $0.agents == nil })
      else { return nil }
      return List(name: "builtin:\(name)", policy: loaded.policy)
    }
  }

  /// The lists that allow what was asked, by name.
  public func covering(_ question: PolicyQuestion, at now: Timestamp) -> [List] {
    lists.filter { question.decision(under: $0.policy, at: now).answer == .allow }
  }
}
