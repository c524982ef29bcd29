import Policy

/// What a client asks of a running gate. A gate refuses, by name, a verb it
/// does not know.
public enum ControlRequest: Hashable, Sendable {
  /// What the gate is doing now; answered by `ControlReply.status`.
  case status
  /// Read the policy anew; answered by `ControlReply.reloaded` or `.reloadRefused`.
  case reload
  /// Cut and deny everything, of one agent or (nil) of all; answered by `ControlReply.stopped`.
  case stop(AgentName?)
  /// Take that back, for one agent or (nil) for all; answered by `ControlReply.stopped`.
  case resume(AgentName?)
  /// The questions that wait for a person; answered by a `.question` for each, then `.listed`.
  case pending
  /// What stands answered; answered by a `.grant` for each, then `.listed`.
  case granted
  /// The questions that wait, then each as it comes and as it ends, for as long as the client stays:
  /// `.question` and `.closed`. Whoever follows and may answer can be asked.
  case follow
  /// As `follow`, for a review page that a person has open: `.listed` comes first, once he can be asked by it.
  case attend
  /// Whoever follows lives, as the `.beat` of this number asks; answered by `.answered`. Without it for 35 s he
  /// follows, and is nobody who can be asked.
  case here(UInt64)
  /// Say yes to a question; answered by `.answered` or `.refused`.
  case approve(AnswerOrder)
  /// Say no to one; answered in the same way.
  case refuse(AnswerOrder)
  /// Wait for the end of a question; answered by `.closed` when it comes.
  case wait(id: String)
  /// Take back what was approved or answered for good; answered by `.revoked` or `.refused`.
  case revoke(id: String)

  /// The words that requests begin with.
  public enum Verb: String, Hashable, Sendable, CaseIterable {
    case status, reload
    case stop = "stop-all"
    case resume, pending, granted, follow, attend, here, approve, refuse, wait, revoke
  }

  /// The word for this one.
  public var verb: Verb {
    switch self {
    case .status: .status
    case .reload: .reload
    case .stop: .stop
    case .resume: .resume
    case .pending: .pending
    case .granted: .granted
    case .follow: .follow
    case .attend: .attend
    case .here: .here
    case .approve: .approve
    case .refuse: .refuse
    case .wait: .wait
    case .revoke: .revoke
    }
  }
}

/// An answer to a question, and what it was given to.
public struct AnswerOrder: Hashable, Sendable {
  /// The question's id.
  public var id: String
  /// The policy that it was shown under.
  public var generation: UInt64
  /// What was shown, as `PendingStatus.digest` stands for it.
  public var digest: String
  /// How far it goes: `once`, `time`, `session` or `always`.
  public var scope: String
  /// With scope `time`, how many seconds.
  public var seconds: Int64?
  /// Why, for the log and the overlay; at most 256 characters are kept.
  public var note: String?
  /// By what the person answered: `page` for the review page, nil for the command line.
  public var channel: String?

  /// Makes an order.
  public init(
    id: String, generation: UInt64, digest: String, scope: String, seconds: Int64? = nil, note: String? = nil,
    channel: String? = nil
  ) {
    self.id = id
    self.generation = generation
    self.digest = digest
    self.scope = scope
    self.seconds = seconds
    self.note = note
    self.channel = channel
  }
}

/// The numbers both ends of the control socket agree on.
public enum ControlProtocol {
  /// The version of the messages. Either end refuses any other.
  public static let version = 1
  /// The longest message in bytes, newline included.
  public static let maximumLength = 65_536
  /// The deepest nesting of a message.
  public static let maximumDepth = 8
}

/// Why a message is refused. Nothing of the message is repeated.
public enum ControlError: Error, Hashable, Sendable {
  /// More than `ControlProtocol.maximumLength` bytes without a newline.
  case tooLong
  /// Not one JSON object, or nested too deep.
  case notAnObject
  /// The other end speaks another version of the protocol.
  case version
  /// A request with a verb that this gate does not know.
  case unknownRequest
  /// A request with a field that this gate does not know.
  case unknownField
  /// A field is missing, or holds another kind of value.
  case field(String)
}

extension ControlError: CustomStringConvertible {
  public var description: String {
    switch self {
    case .tooLong: "a message is longer than \(ControlProtocol.maximumLength) bytes"
    case .notAnObject: "a message is not one JSON object"
    case .version: "the other end speaks another version of the control protocol"
    case .unknownRequest:
      "the request is not one of \(ControlRequest.Verb.allCases.map(\.rawValue).joined(separator: ", "))"
    case .unknownField: "the request has a field that is not known"
    case .field(let name): "the field '\(name)' is missing or of another kind"
    }
  }
}
