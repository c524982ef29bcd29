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
  private let counters: NetfilterSocket

  /// Makes a fence of a table that is in force.
  ///
  /// - Parameters:
  ///   - packets: Where denied packets are heard of; none of them waits.
  ///   - counters: A socket of the command's network, which owns nothing.
  ///   - isOwned: Whether nobody else can change the table.
  public init(_ packets: PacketLog, counters: NetfilterSocket, isOwned: Bool) {
    (self.packets, self.counters, self.isOwned) = (packets, counters, isOwned)
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

  public let sampleDelay = DispatchTimeInterval.milliseconds(0)

  public func count(completion: @escaping @Sendable ([Heldback: UInt64]?) -> Void) {
    queue.async { [self] in
      hear()
      completion(counts())
    }
  }

  private func counts() -> [Heldback: UInt64]? {
    guard let counts = try? counters.counts(in: TableName(.inet, "exitgate")) else { return nil }
    let named = counts.compactMap { name, packets in Heldback(named: name).map { ($0, packets) } }
    return Dictionary(named, uniquingKeysWith: &+)
  }

  /// What keeps the table ends with the command.
  public func end() {}

  /// What the kernel could not hand over the counters tell.
  private func hear() {
    for _ in 0..<64 {
      let delivery = packets.receive()
      if !delivery.packets.isEmpty { notice?(.denied(delivery.packets)) }
      if delivery.isEmpty { return }
    }
  }

  /// All packets that were denied up to now have been heard of, or are counted.
  public func report(completion: @escaping @Sendable (FenceState?) -> Void) {
    queue.async { [self] in
      hear()
      let denied = counts()?.values.reduce(0, &+)
      var state = FenceState(isOwned: isOwned, denied: denied ?? 0, frames: 0, learned: 0)
      state.canary = .unsent
      completion(state)
    }
  }
}
