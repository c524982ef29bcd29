import Addressing
import Policy

/// What one answer is about, and nothing beside it: one agent, one host, one
/// port, one protocol, and where the rule that asks looks at requests, one
/// method and path. Another of any is another question.
public struct ApprovalKey: Hashable, Sendable {
  /// Who asks.
  public let agent: AgentName
  /// Where to.
  public let destination: Destination
  /// The request; nil where the rule that asks does not look at requests.
  public let request: RequestFacts?

  /// Makes the key of a question.
  ///
  /// - Parameter rule: The rule that asks; nil where the policy's default does.
  public init(_ destination: Destination, agent: AgentName, request: RequestFacts?, under rule: Rule?) {
    self.destination = destination
    self.agent = agent
    self.request = rule?.requests.isEmpty == false ? request : nil
  }
}

/// What a question is called: 16 characters of RFC 4648's base32 in lower case,
/// 80 random bits, so that no agent guesses one and no restart repeats one.
public struct PendingID: Hashable, Sendable, CustomStringConvertible {
  /// The id as ASCII text.
  public let text: String

  /// Takes an id as `description` writes it; nil for any other form.
  public init?(_ text: String) {
    guard text.utf8.count == Self.length, text.utf8.allSatisfy({ Self.alphabet.contains($0) }) else {
      return nil
    }
    self.text = text
  }

  /// Draws an id.
  public static func random(using generator: inout some RandomNumberGenerator) -> PendingID {
    let digits = (0..<length).map { _ in alphabet[Int.random(in: alphabet.indices, using: &generator)] }
    return PendingID(known: String(decoding: digits, as: UTF8.self))
  }

  private init(known text: String) { self.text = text }

  private static let length = 16
  private static let alphabet = Array("abcdefghijklmnopqrstuvwxyz234567".utf8)

  public var description: String { text }
}

/// A question that waits for a person, with all that its answer binds.
public struct PendingQuestion: Hashable, Sendable {
  /// One of what it is about.
  public struct Member: Hashable, Sendable {
    /// What is asked for, and under which rule.
    public let asked: Asked
    /// The rule that allowing it always would add, one line of YAML; nil where
    /// no rule can say exactly this.
    public let candidate: String?
    /// What the candidate is called.
    let name: RuleID?

    init(_ asked: Asked, named name: RuleID?) {
      (self.asked, self.name) = (asked, name)
      candidate = name.flatMap { asked.key.candidate(named: $0, under: asked.rule) }
    }

    /// What is asked for.
    public var key: ApprovalKey { asked.key }
    /// The rule that asks; nil where the policy's default does.
    public var rule: RuleID? { asked.rule?.id }
    /// What an approval opens beside public addresses.
    public var leave: [Leave] { Leave.allCases.filter(Leave.of(asked.rule).contains) }
  }

  /// What it is called.
  public let id: PendingID
  /// Whose it is.
  public let agent: AgentName
  /// What it is about: one, or where many under one domain were joined, all of them.
  public internal(set) var members: [Member]
  /// The registered domain that they are under; nil for addresses and for names directly under nothing.
  public let domain: Hostname?
  /// Whether it stands for several that were joined.
  public let isJoined: Bool
  /// The policy it was asked under.
  public internal(set) var generation: UInt64
  /// When it was first asked.
  public let first: Timestamp
  /// When it was last asked.
  public internal(set) var last: Timestamp
  /// How often it was asked.
  public internal(set) var count: UInt64
  /// How many connections are held for it now.
  public internal(set) var waiting: Int
  /// Until when the one of them waits that waits longest, or did; nil where that is not known.
  public internal(set) var heldUntil: Timestamp?
  /// How many more were asked for under its domain and denied, since they did not fit.
  public internal(set) var more: UInt64 = 0
  /// The addresses, where somebody knew them; never looked up for the question.
  public internal(set) var addresses: [IPAddress] = []
  /// Who asks, as the kernel sees it; nil where it is not known.
  public internal(set) var program: Program?
  /// Stands for exactly what would be allowed; an answer has to name it.
  public internal(set) var digest: String

  /// The rule that stands for an answer for good; nil where there is none.
  public func rule(for answer: ApprovalAnswer) -> String? {
    guard answer.scope == .always, members.count == 1, let id = RuleID("approved-\(id)") else { return nil }
    return members[0].key.candidate(
      named: id, answer.isAllowing ? .allow : .deny, under: members[0].asked.rule)
  }

  /// What its answer may be.
  public var offers: Set<Offer> {
    if isJoined { return [.allowTime, .allowSession, .refuse, .refuseSession] }
    guard members.allSatisfy({ $0.candidate != nil }) else {
      return [.allowOnce, .allowTime, .allowSession, .refuse, .refuseSession]
    }
    return Set(Offer.allCases)
  }
}

/// The program behind a connection.
public struct Program: Hashable, Sendable {
  /// What runs, as its process says; bytes from inside the sandbox.
  public var command: String
  /// The file that runs, as the kernel names it; nil where that is not known of one process alone.
  public var file: String?
  /// Where it runs.
  public var workingDirectory: String
  /// Its process as the kernel said when it asked; nil where that is not looked at.
  public var processID: Int32?
  /// Whether others ask with it, so that it is not named as the one.
  private(set) var isOfSeveral = false

  /// What is said of it once another asks as well: both, and neither as the one.
  func joined(by other: Program) -> Program {
    guard !isOfSeveral, processID != nil, (command, file) != (other.command, other.file) else {
      return isOfSeveral ? self : other
    }
    let half = { (text: String) in String(String.UnicodeScalarView(text.unicodeScalars.prefix(120))) }
    var both = Program(
      command: "several programs: \(half(command)), and \(half(other.command))",
      workingDirectory: workingDirectory)
    both.isOfSeveral = true
    return both
  }

  /// Makes a program.
  public init(command: String, file: String? = nil, workingDirectory: String, processID: Int32? = nil) {
    self.command = command
    self.file = file
    self.workingDirectory = workingDirectory
    self.processID = processID
  }
}
