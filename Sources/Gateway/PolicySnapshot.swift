import Addressing
import Policy

/// One generation of the policy together with the floor under it, as every
/// loop sees it. A snapshot is never changed, only replaced whole.
public final class PolicySnapshot: Sendable {
  /// The policy in force.
  public let policy: Policy
  /// What no rule can open.
  public let floor: Floor
  /// Who is who.
  public let directory: AgentDirectory
  /// What its rules run out by; as old as the policy.
  let clock: RuleClock
  /// The numbers of its rules in the kernel; none where there is no fence.
  let marks: RuleMarks

  /// Makes the snapshot of a policy that was loaded just now.
  public convenience init(
    policy: Policy, floor: Floor, directory: AgentDirectory, marks: RuleMarks = RuleMarks()
  ) {
    self.init(policy: policy, floor: floor, directory: directory, clock: RuleClock(), marks: marks)
  }

  private init(
    policy: Policy, floor: Floor, directory: AgentDirectory, clock: RuleClock, marks: RuleMarks
  ) {
    self.policy = policy
    self.floor = floor
    self.directory = directory
    self.clock = clock
    self.marks = marks
  }

  var generation: UInt64 { policy.generation }

  /// The same policy over another floor: a local address came or went.
  func replacingFloor(_ floor: Floor) -> PolicySnapshot {
    PolicySnapshot(policy: policy, floor: floor, directory: directory, clock: clock, marks: marks)
  }

  /// The same rules under another order to stop, and as old as they were.
  func replacingPolicy(_ policy: Policy) -> PolicySnapshot {
    PolicySnapshot(policy: policy, floor: floor, directory: directory, clock: clock, marks: marks)
  }

  /// The same policy after some of its rules have run out in the kernel.
  func replacingMarks(_ marks: RuleMarks) -> PolicySnapshot {
    PolicySnapshot(policy: policy, floor: floor, directory: directory, clock: clock, marks: marks)
  }
}
