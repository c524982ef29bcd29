import Addressing
import EventLoop
import Policy

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
