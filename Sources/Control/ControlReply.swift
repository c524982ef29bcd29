/// What a gate answers, one for each request.
public enum ControlReply: Hashable, Sendable {
  /// To `ControlRequest.status`.
  case status(GateStatus)
  /// To `ControlRequest.reload`: the new policy is in force.
  case reloaded(ReloadReport)
  /// To `ControlRequest.reload`: the policy in force stays. One sentence per
  /// problem, `file:line:column: cause. Remedy.`; never empty.
  case reloadRefused(problems: [String])
  /// To `ControlRequest.stop` and `.resume`: who is stopped from now on.
  case stopped(StopReport)
  /// To `pending` and `follow`: a question that waits, as it is now.
  case question(PendingStatus)
  /// To `granted`: something that stands.
  case grant(GrantStatus)
  /// To `follow` and `wait`: a question is over.
  case closed(ClosedStatus)
  /// To `follow` and `attend`, now and then: whoever lives says so by `here` with this number.
  case beat(UInt64)
  /// To `pending` and `granted`: so many there were.
  case listed(Int)
  /// To `approve` and `refuse`: it counts, in these words.
  case answered(String)
  /// To `revoke`: so many connections were cut.
  case revoked(Int)
  /// To anything that is no request the gate takes.
  case refused(String)
}

/// What a reload changed.
public struct ReloadReport: Hashable, Sendable {
  /// The generation now in force.
  public var generation: UInt64
  /// The number of rules now in force.
  public var rules: Int
  /// The policy's mode.
  public var enforcing: Bool
  /// Connections closed because their rule is gone or changed.
  public var closed: Int
  /// What the reader warned of, one sentence each.
  public var warnings: [String]

  /// Makes a report.
  public init(generation: UInt64, rules: Int, enforcing: Bool, closed: Int, warnings: [String]) {
    self.generation = generation
    self.rules = rules
    self.enforcing = enforcing
    self.closed = closed
    self.warnings = warnings
  }
}
