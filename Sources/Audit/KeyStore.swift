import Glibc
import SystemPackage

/// The files that hold the two halves of the signing key.
enum KeyStore {
  /// Reads the key at `path`, or makes one on the first start (mode 0600), and
  /// sees that the public half stands beside it as `path.pub`.
  ///
  /// - Throws: `AuditError`; a file that is no key is never replaced.
  static func load(_ path: String) throws(AuditError) -> SigningKey {
    try FileAccess.prepareDirectory(of: path)
    guard let content = try FileAccess.read(path, limit: 256) else { return try make(path) }
    guard let bytes = decodeHex(content.prefix { $0 != UInt8(ascii: "\n") }),
      let key = SigningKey(bytes: bytes)
    else { throw AuditError(path: path, problem: .badKey) }
    try publish(key, beside: path)
    return key
  }

  private static func make(_ path: String) throws(AuditError) -> SigningKey {
    let key = SigningKey()
    let file = try FileAccess.open(path, flags: O_WRONLY | O_CREAT | O_EXCL)
    try FileAccess.writeAll(Array((hexText(key.bytes) + "\n").utf8), to: file, path: path)
    try publish(key, beside: path)
    return key
  }

  private static func publish(_ key: SigningKey, beside path: String) throws(AuditError) {
    let content = Array("\(key.publicKey)\n".utf8)
    guard try FileAccess.read(path + ".pub", limit: 256) != content else { return }
    try FileAccess.replace(path + ".pub", with: content)
  }
}

extension VerifyingKey {
  /// Reads a public key file, whoever owns it.
  ///
  /// - Throws: `AuditError`: no such file, or no key in it.
  public init(file path: String) throws(AuditError) {
    let file = try FileAccess.openForReading(path), content: [UInt8]
    do throws(Errno) { content = try file.read(at: 0, count: 256) } catch {
      throw AuditError(path: path, problem: .failed(operation: "read", error))
    }
    let line = content.prefix { $0 != UInt8(ascii: "\n") }
    guard let key = VerifyingKey(hex: String(decoding: line, as: UTF8.self)) else {
      throw AuditError(path: path, problem: .badKey)
    }
    self = key
  }
}

/// What keeps a second writer away: a lock that ends with the process.
final class LogLock: Sendable {
  private let file: SystemLogFile

  /// Takes the lock `path`.
  ///
  /// - Throws: `AuditError`, `.inUse` when another process has it.
  init(_ path: String) throws(AuditError) {
    file = try FileAccess.open(path, flags: O_RDWR | O_CREAT)
    guard flock(file.descriptor, LOCK_EX | LOCK_NB) == 0 else {
      let error = lastErrno()
      throw AuditError(path: path, problem: error == .wouldBlock ? .inUse : .failed(operation: "lock", error))
    }
  }

  /// Whether another process has the lock of the log `path` now.
  static func isTaken(of path: String) -> Bool {
    do {
      try LogLock(path + ".lock").release()
      return false
    } catch { return error.problem == .inUse }
  }

  /// Lets the next writer in.
  func release() {
    _ = flock(file.descriptor, LOCK_UN)
  }
}
