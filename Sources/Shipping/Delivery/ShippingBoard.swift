import Synchronization

/// Where a shipper says how far it is, for whoever asks from another thread.
public final class ShippingBoard: Sendable {
  private let state = Mutex<ShippingRecord?>(nil)

  /// Makes one on which nothing is said.
  public init() {}

  /// What was said last; nil before anything was.
  public var record: ShippingRecord? { state.withLock { $0 } }

  func post(_ record: ShippingRecord) { state.withLock { $0 = record } }
}
