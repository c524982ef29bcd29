import CLinux
import Synchronization

/// Bits that nobody can foretell, fetched from the kernel 256 bytes at a time: a
/// system call for each of them would cost more than all else that a query needs.
/// Each bit is given out once.
///
/// - Source: getrandom(2): up to 256 bytes come whole.
public final class RandomPool: Sendable {
  private let words = Mutex<[UInt64]>([])

  /// Makes an empty pool.
  public init() {}

  /// 64 bits.
  public func next() -> UInt64 {
    words.withLock { words in
      if words.isEmpty { words = Self.fetch() }
      return words.removeLast()
    }
  }

  private static func fetch() -> [UInt64] {
    var words = [UInt64](repeating: 0, count: 32)
    let filled = words.withUnsafeMutableBytes { linux_random($0.baseAddress, $0.count) }
    // Since the boot there always are some: without them no port and no id would be safe.
    precondition(filled == 256, "getrandom(2) failed")
    return words
  }
}
