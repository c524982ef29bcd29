import Glibc

/// Why a file cannot be kept from others: the number of errno(3).
public struct OverlayLockError: Error, Hashable, Sendable {
  /// As open(2) or flock(2) left it.
  public let code: Int32
}

/// Keeps everybody else who writes into a file of rules away while it lives: the gate, its commands and the
/// review page read the file, change it and put it back, one after the other.
///
/// The lock is a file of its own beside it, `PATH.lock`, since the file itself is replaced; it stays.
public final class OverlayLock: Sendable {
  private let descriptor: Int32

  /// Takes it.
  ///
  /// - Parameter isPatient: Whether somebody else who has it is waited for.
  /// - Throws: `OverlayLockError`; its code is `EWOULDBLOCK` where somebody has it and nobody waits.
  public init(of path: String, isPatient: Bool = true) throws(OverlayLockError) {
    descriptor = open("\(path).lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
    guard descriptor >= 0 else { throw OverlayLockError(code: errno) }
    while flock(descriptor, isPatient ? LOCK_EX : LOCK_EX | LOCK_NB) != 0 {
      let code = errno
      guard code != EINTR else { continue }
      close(descriptor)
      throw OverlayLockError(code: code)
    }
  }

  deinit { close(descriptor) }
}
