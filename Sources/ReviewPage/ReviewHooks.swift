import Control
import Glibc
import Policy
import PolicyFile
import Review

/// What the command line lends to the page, so that both read and answer alike.
public struct ReviewHooks: Sendable {
  /// Reads what `exitgate log` takes as options: since, agent, destination, reason, layer.
  public var filter: @Sendable ([String: String]) throws(ReviewProblem) -> RecordFilter
  /// What `exitgate explain` says: destination, agent, protocol, method, path.
  public var explain: @Sendable ([String: String]) -> [ReviewLine]
  /// Asks the running gate, and waits; nil where no gate is spoken to.
  public var ask: (@Sendable (ControlRequest) throws(ReviewProblem) -> ControlReply)?
  /// How questions are heard of and answered; nil where no gate is spoken to.
  public var line: GateLine?
  /// Reads policies; relative includes count from this directory.
  public var loader: @Sendable (_ directory: String) -> PolicyLoader
  /// The clock on the wall.
  public var now: @Sendable () -> Timestamp
  /// Who runs the page, as a change of the overlay names it.
  public var user = "user \(getuid())"
  /// Where something is said to whoever started the page.
  public var say: @Sendable (String) -> Void

  /// Makes hooks.
  public init(
    filter: @escaping @Sendable ([String: String]) throws(ReviewProblem) -> RecordFilter,
    explain: @escaping @Sendable ([String: String]) -> [ReviewLine],
    ask: (@Sendable (ControlRequest) throws(ReviewProblem) -> ControlReply)?,
    loader: @escaping @Sendable (_ directory: String) -> PolicyLoader,
    now: @escaping @Sendable () -> Timestamp, say: @escaping @Sendable (String) -> Void
  ) {
    (self.filter, self.explain, self.ask, self.loader) = (filter, explain, ask, loader)
    (self.now, self.say) = (now, say)
  }
}

/// Why something was not done: a sentence or two for whoever looks at the page.
public struct ReviewProblem: Error, Hashable, Sendable {
  /// What, and the way out.
  public var text: String

  /// Makes a problem.
  public init(_ text: String) {
    self.text = text
  }
}

/// A line of what a command says, in pieces.
public struct ReviewLine: Hashable, Sendable {
  /// How a piece looks.
  public enum Style: String, Hashable, Sendable {
    case plain, strong, faint, bad, good, doubtful
  }

  /// One piece.
  public struct Piece: Hashable, Sendable {
    /// Its text.
    public var text: String
    /// How it looks.
    public var style: Style

    /// Makes a piece.
    public init(_ text: String, _ style: Style = .plain) {
      (self.text, self.style) = (text, style)
    }
  }

  /// From left to right.
  public var pieces: [Piece]

  /// Makes a line.
  public init(_ pieces: [Piece]) {
    self.pieces = pieces
  }
}

/// Where the page finds what it shows, and what it may change.
public struct ReviewSettings: Hashable, Sendable {
  /// The audit log.
  public var log: String
  /// The policy that is explained, and that must still load behind a change; nil where there is none.
  public var policy: String?
  /// The file that rules are added to; nil: nothing is changed.
  public var overlay: String?

  /// Makes settings.
  public init(log: String, policy: String?, overlay: String?) {
    (self.log, self.policy, self.overlay) = (log, policy, overlay)
  }
}
