import Addressing
import Policy

/// Where a document comes from.
enum DocumentOrigin: Hashable, Sendable {
  /// The policy that was asked for.
  case main
  /// `include: [file:…]`.
  case file
  /// `include: [builtin:NAME]`.
  case builtin(String)
  /// `include: [system:NAME]`.
  case system(String)

  var isBuiltin: Bool {
    if case .builtin = self { return true }
    return false
  }

  var isList: Bool {
    if case .system = self { return true }
    return isBuiltin
  }

  /// What stands before the ids of the document's rules.
  var idPrefix: String {
    switch self {
    case .main, .file: ""
    case .builtin(let name): name + "/"
    case .system(let name): "system:\(name)/"
    }
  }
}

/// One entry of `include`.
struct Inclusion {
  enum Kind: String, CaseIterable { case builtin, system, file }

  var kind: Kind
  var name: String
  var mark: Mark
}

/// One policy file, read by itself.
struct Document {
  var scope: Scope
  var origin: DocumentOrigin
  var mode: Mode?
  /// When watching ends, and where that stands.
  var auditUntil: (time: Timestamp, mark: Mark)?
  var includes: [Inclusion] = []
  var defaultAction: Action?
  var hold: Duration?
  var agents: [Agent] = []
  var reviewers = Reviewers()
  var rules: [RuleDraft] = []
  var sandbox = SandboxSettings()
  var about: String?
  var expectations: [Expectation] = []
}

/// A test of a policy: a destination and the answer it must get.
public struct Expectation: Hashable, Sendable {
  /// What is asked for.
  public var destination: Destination
  /// For whom.
  public var agent: AgentName
  /// With method and path, where they are given.
  public var request: RequestFacts?
  /// What the answer must be; in a list, under a policy that is this list alone.
  public var answer: Action
  /// `file:line`.
  public var place: String
}
