/// How much is asked and remembered at most.
///
/// - Source: the design's section on approval; what is not said there is chosen so that one gate's book stays
///   below a few MiB whatever agents do.
public struct Bounds: Hashable, Sendable {
  /// Questions of one agent that wait at the same time.
  public var pendingPerAgent = 20
  /// New questions of one agent in a minute.
  public var promptsPerMinute = 6
  /// Questions of one agent under one registered domain that stand for themselves; more are joined.
  public var perDomain = 5
  /// What one joined question is about at most; it has to fit on a screen.
  public var members = 20
  /// What one question's places may take in a message, in bytes; with all else it has to fit in 64 KiB.
  public var questionBytes = 49_152
  /// Connections that wait for one question.
  public var waiters = 64
  /// Addresses that one question shows.
  public var addresses = 32
  /// Refusals of one key after which nobody is asked about it again.
  public var refusals = 3
  /// How long the first refusal keeps a key from being asked about; each further one four times as long.
  public var backOff = Duration.seconds(30)
  /// How long a question stays that nobody waits for, and an approval of one connection that nobody takes.
  public var expiry = Duration.seconds(600)
  /// Approvals that stand.
  public var grants = 4096
  /// Keys that were refused.
  public var refused = 4096
  /// Questions that are over and still known.
  public var outcomes = 256

  /// Makes the bounds that a gate has.
  public init() {}
}
