import Addressing
import Audit
import Policy
import PolicyFile

/// One thing that an agent got through the gate while it watched: what the suggestion must allow.
struct Need: Hashable, Sendable {
  var agent: AgentName
  var host: Host
  var port: Port
  var traffic: TrafficProtocol
}

/// What a log tells of a need.
struct Evidence: Sendable {
  var count: UInt64 = 0
  var first = Timestamp(milliseconds: .max)
  var last = Timestamp(milliseconds: .min)
  var bytesOut: UInt64 = 0
  var bytesIn: UInt64 = 0
  var layers: Set<Layer> = []
  var processes: Set<String> = []
  /// For HTTP, the methods; nil when one was not recorded.
  var methods: Set<String>? = []
  /// For DNS, the types beyond addresses.
  var recordTypes: Set<String> = []
  /// What was asked, as it stands in the records.
  var questions: Set<PolicyQuestion> = []
  /// Whether the name was only ever asked for, and nothing connected to it.
  var isOnlyAsked = false

  mutating func add(_ tally: Tally, _ question: PolicyQuestion) {
    count &+= tally.count
    first = min(first, tally.first)
    last = max(last, tally.last)
    if let layer = tally.kind.layer { layers.insert(layer) }
    if let process = tally.kind.process { processes.insert(process) }
    questions.insert(question)
    guard question.destination.traffic == .http else { return }
    if let method = question.method { methods?.insert(method) } else { methods = nil }
  }

  mutating func merge(_ other: Evidence) {
    count &+= other.count
    first = min(first, other.first)
    last = max(last, other.last)
    bytesOut &+= other.bytesOut
    bytesIn &+= other.bytesIn
    layers.formUnion(other.layers)
    processes.formUnion(other.processes)
    recordTypes.formUnion(other.recordTypes)
    questions.formUnion(other.questions)
    if let own = methods, let others = other.methods { methods = own.union(others) } else { methods = nil }
  }
}

extension Evidence {
  /// The methods that a rule can name; nil, for a rule that names none and takes every one, where one is unheard of.
  var nameableMethods: Set<String>? {
    guard let methods else { return nil }
    let isKnown = methods.allSatisfy { method in
      method.utf8.count <= 32 && method.utf8.allSatisfy { UInt8(ascii: "A")...UInt8(ascii: "Z") ~= $0 }
    }
    return isKnown ? methods : nil
  }

  /// The most methods of one rule: no protocol over HTTP has more.
  static let methodLimit = 32
  /// Those that are kept first.
  ///
  /// - Source: RFC 9110 §9.3, RFC 5789.
  private static let usualMethods: Set = [
    "GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH",
  ]

  /// Gives up the methods that are too many for a rule.
  ///
  /// - Returns: What was asked with them.
  mutating func dropMethods() -> Set<PolicyQuestion> {
    guard let named = nameableMethods, named.count > Self.methodLimit else { return [] }
    let sorted = named.sorted { left, right in
      let (own, other) = (Self.usualMethods.contains(left), Self.usualMethods.contains(right))
      return own != other ? own : left < right
    }
    let kept = Set(sorted.prefix(Self.methodLimit))
    let dropped = questions.filter { $0.method.map { !kept.contains($0) } ?? false }
    (methods, questions) = (kept, questions.subtracting(dropped))
    return dropped
  }
}

/// Something that passed and that the suggestion does not allow, and why.
public struct LeftOut: Hashable, Sendable {
  /// Why.
  public enum Why: String, Hashable, Sendable, CaseIterable {
    /// A deny rule matches it.
    case deniedByRule = "a deny rule matches it"
    /// A rule says that a person is to be asked.
    case askedByRule = "a rule says that a person is to be asked"
    /// The floor, or a private address: opened by hand or not at all.
    case floor = "a private or special address; open it by hand, if at all"
    /// The TLS handshake was not what https means.
    case handshake = "its TLS handshake named another host, none, or could not be read; enforce mode cuts it"
    /// An alias that a deny rule matches.
    case alias = "it is an alias of a name that a deny rule matches"
    /// The agent is no agent of the policy.
    case unknownAgent = "its agent is not declared; give the policy that declares it with --merge"
    /// Names that look like data.
    case tunnel = "its names look like data that is carried out through DNS"
    /// Too many to be told apart.
    case overflow = "too many places to be told apart"
    /// Another reason than a missing rule.
    case notByRules = "no rule can allow it"
    /// The policy has no room for more rules.
    case tooMany = "more destinations than a policy takes"
    /// A rule has no room for more methods.
    case tooManyMethods = "more methods than one rule takes"
    /// A rule of the policy that was merged stands against it.
    case overruled = "a rule of the policy stands against it"
  }

  /// What it was, in words: a destination, or what is known of it.
  public var place: String
  /// Whose it was.
  public var agent: String
  /// Why.
  public var why: Why
  /// What was asked, where it is one thing.
  public var question: PolicyQuestion?
  /// How often.
  public var count: UInt64
}
