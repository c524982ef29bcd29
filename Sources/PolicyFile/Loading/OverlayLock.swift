import Glibc

/// Keeps everybody else who writes into a file of rules away while it lives: the gate, its commands and the
/// review page read the file, change it and put it back, one after the other.
///
/// The lock is a file of its own beside it, `PATH.lock`, since the file itself is replaced; it stays. Whoever may
/// replace the file may lock it, if who was first may give it away, and nobody else: a stranger who could would keep all
/// waiting. In a sticky directory a stranger may be first; then nothing is changed.
public final class OverlayLock: Sendable {
  private let descriptor: Int32

  /// Takes it, or waits for nobody.
  ///
  /// - Throws: `RuleFileError`; its code is `EWOULDBLOCK` where somebody has it.
  public init(of path: String) throws(RuleFileError) {
    try RuleFile(path).check()
    // Not before it is locked: once it is whole, an object that throws is ended as well, and would close it again.
    descriptor = try Self.take("\(path).lock", of: path)
  }

  deinit { close(descriptor) }

  /// How often one that was taken away under its hands is made anew.
  private static let tries = 100

  private static func take(_ name: String, of path: String) throws(RuleFileError) -> Int32 {
    for _ in 0..<tries {
      let descriptor = open(name, of: path)
      guard descriptor >= 0 else { throw RuleFileError(path: name, code: errno) }
      if flock(descriptor, LOCK_EX | LOCK_NB) == 0, lies(descriptor, at: name) { return descriptor }
      let code = errno
      close(descriptor)
      // Somebody took it away meanwhile: whoever comes now makes another.
      guard code == EINTR || code == ENOENT else { throw RuleFileError(path: name, code: code) }
    }
    throw RuleFileError(path: name, code: EWOULDBLOCK)
  }

  /// Whether this is what others lock too; else errno is `ENOENT`.
  private static func lies(_ descriptor: Int32, at name: String) -> Bool {
    var own = stat(), there = stat()
    let isThere = fstat(descriptor, &own) == 0 && lstat(name, &there) == 0
    if isThere, own.st_ino == there.st_ino, own.st_dev == there.st_dev { return true }
    errno = ENOENT
    return false
  }

  private static func open(_ name: String, of path: String) -> Int32 {
    let flags = O_RDWR | O_CLOEXEC | O_NOFOLLOW
    let old = Glibc.open(name, flags)
    guard old < 0, errno == ENOENT else { return old }
    let new = Glibc.open(name, flags | O_CREAT | O_EXCL, 0o600)
    // Somebody else was first.
    guard new >= 0 || errno != EEXIST else { return Glibc.open(name, flags) }
    if new >= 0 { share(new, of: path) }
    return new
  }

  /// Has a new lock be for those who may replace the file: who may write its directory, or, where that is sticky
  /// (unlink(2)), the file's owner alone. What this user may not give away stays his.
  private static func share(_ lock: Int32, of path: String) {
    var place = stat(), made = stat()
    let above = parent(of: path)
    guard stat(above.isEmpty ? "." : above, &place) == 0 else { return }
    if place.st_mode & S_ISVTX != 0 {
      guard lstat(path, &place) == 0 else { return }
      place.st_mode = S_IWUSR
    }
    if fchown(lock, place.st_uid, place.st_gid) != 0 { _ = fchown(lock, uid_t.max, place.st_gid) }
    guard fstat(lock, &made) == 0 else { return }
    var writers = place.st_mode & (S_IWGRP | S_IWOTH)
    if made.st_gid != place.st_gid { writers &= ~S_IWGRP }
    _ = fchmod(lock, S_IRUSR | S_IWUSR | writers | writers << 1)
  }
}
