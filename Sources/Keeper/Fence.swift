import Dispatch
import Firewall

/// The kernel's part of a gate, as the gate sees it.
public protocol Fence: AnyObject, Sendable {
  /// Puts the table in force and waits until it is. Called once, before the
  /// gate has a second thread and before it listens to anybody.
  func install(_ rules: FenceRules) throws(FenceError)

  /// Goes on without waiting; from now on `notice` hears what happens.
  func start(_ notice: @escaping @Sendable (FenceNotice) -> Void)

  /// Puts other rules in force in one step and ends the flows of `revoked`.
  ///
  /// - Parameter completion: Gets nil once the kernel has them, else why it has
  ///   not; then those before are still in force.
  func replace(
    _ rules: FenceRules, revoked: Set<UInt32>, completion: @escaping @Sendable (FenceError?) -> Void)

  /// Lets an answer's addresses pass.
  ///
  /// - Parameter completion: Gets true once the kernel has acknowledged them.
  func open(_ openings: [FenceOpening], completion: @escaping @Sendable (Bool) -> Void)

  /// How the table is doing; nil when nobody can say.
  func report(completion: @escaping @Sendable (FenceState?) -> Void)

  /// How many packets were held back since the table was made; nil when nobody
  /// can say. Packets that were sampled before `completion` was called for the
  /// count before this one have been told to `notice` by then.
  func count(completion: @escaping @Sendable ([Heldback: UInt64]?) -> Void)

  /// How long the kernel may gather samples before it hands them over.
  var sampleDelay: DispatchTimeInterval { get }

  /// Ends what keeps the table and waits until it is gone, so that whoever
  /// starts next finds nobody in the way. The table stays. The last call.
  func end()
}

/// Why the kernel's table is not as it should be: one sentence, with its remedy.
public struct FenceError: Error, Hashable, Sendable, CustomStringConvertible {
  public var description: String

  /// Makes an error.
  public init(_ description: String) { self.description = description }
}

/// What happened at the fence.
public enum FenceNotice: Sendable {
  /// Packets were denied; a sample.
  case denied([LoggedPacket])
  /// Somebody else has touched the tables: what, and what became of it.
  case changed(String)
  /// The packets that prove the table fare otherwise than before.
  case canary(CanaryState)
  /// The link of this kernel's number is nobody's any more, in the table too, until the gate is started anew.
  case linkLost(UInt32, LinkLoss)
  /// A device came after the start: whether frames beside the IP stack are stopped on it.
  case device(String, isGuarded: Bool)
  /// The keeper does not answer, or does so again. The table holds what it held.
  case silent(Bool)
  /// The keeper is gone, or was silent for too long. The table stays, and nothing can be changed in it.
  case ended
}
