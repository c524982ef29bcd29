import Dispatch
import Firewall

/// The fence of a command's own network: the table there never changes, since
/// all that leaves is asked of the gate, and packets it denied are heard of.
///
/// `@unchecked Sendable`: every stored `var` is touched on `queue` alone.
public final class CommandFence: Fence, @unchecked Sendable {
  private let queue = DispatchQueue(label: "exitgate.fence")
  private let packets: PacketLog
  private let isOwned: Bool
  private var source: (any DispatchSourceRead)?
  private var notice: (@Sendable (FenceNotice) -> Void)?
  private var denied: UInt64 = 0

  /// Makes a fence of a table that is in force.
  ///
  /// - Parameters:
  ///   - packets: Where denied packets are heard of.
  ///   - isOwned: Whether nobody else can change the table.
  public init(_ packets: PacketLog, isOwned: Bool) {
    (self.packets, self.isOwned) = (packets, isOwned)
  }

  public func install(_ rules: FenceRules) throws(FenceError) {
    guard rules.grants.allSatisfy(\.isEmpty) else {
      throw FenceError("datagrams cannot leave a command's own network, and a rule grants some. Remove it.")
    }
  }

  public func start(_ notice: @escaping @Sendable (FenceNotice) -> Void) {
    queue.sync {
      let source = DispatchSource.makeReadSource(fileDescriptor: packets.descriptor, queue: queue)
      self.notice = notice
      source.setEventHandler { [unowned self] in hear() }
      source.activate()
      self.source = source
    }
  }

  public func replace(
    _ rules: FenceRules, revoked: Set<UInt32>, completion: @escaping @Sendable (FenceError?) -> Void
  ) {
    do throws(FenceError) {
      try install(rules)
      completion(nil)
    } catch { completion(error) }
  }

  /// Nothing is open, and no answer says that anything is.
  public func open(_ openings: [FenceOpening], completion: @escaping @Sendable (Bool) -> Void) {
    completion(openings.isEmpty)
  }

  /// The counters are out of reach, in the command's own namespace.
  public func count(completion: @escaping @Sendable ([Heldback: UInt64]?) -> Void) { completion(nil) }

  /// What keeps the table ends with the command.
  public func end() {}

  private func hear() {
    let delivery = packets.receive()
    denied += UInt64(delivery.packets.count) + delivery.lost
    if !delivery.packets.isEmpty { notice?(.denied(delivery.packets)) }
    if delivery.lost > 0 || delivery.isOverrun { notice?(.lost(delivery.isOverrun ? nil : delivery.lost)) }
  }

  /// The packets it counts are those that were heard of, also just now.
  public func report(completion: @escaping @Sendable (FenceState?) -> Void) {
    queue.async { [self] in
      hear()
      var state = FenceState(isOwned: isOwned, denied: denied, frames: 0, learned: 0)
      state.canary = .unsent
      completion(state)
    }
  }
}
