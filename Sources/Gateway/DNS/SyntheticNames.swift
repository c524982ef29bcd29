import Addressing
import EventLoop
import Policy

/// An address of the pool in use by a connection; given back with the last reference.
final class SyntheticHold: Sendable {
  /// What it stands for.
  let name: Hostname
  private let pool: SyntheticPool
  private let address: IPAddress

  /// - Returns: nil when the address has no name now.
  init?(_ address: IPAddress, of pool: SyntheticPool, at now: MonotonicTime) {
    guard let name = pool.hold(address, at: now) else { return nil }
    (self.name, self.pool, self.address) = (name, pool, address)
  }

  deinit { pool.release(address, at: .now()) }
}

extension Shard {
  /// The place that a client means: an address of the pool stands for the name
  /// that was answered with it. One that stands for none stays what it is, and
  /// the floor denies it.
  func named(_ authority: Authority) -> Authority {
    guard case .address(let address) = authority.host, let pool = commons.pool,
      let name = pool.name(of: address, at: loop.now)
    else { return authority }
    return Authority(.name(name), authority.port)
  }
}
