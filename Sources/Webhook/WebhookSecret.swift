import Crypto
import Glibc

/// What both ends of a webhook know: messages are signed by it (HMAC-SHA256, RFC 2104).
public struct WebhookSecret: Sendable {
  /// In bytes.
  private static let shortest = 16, longest = 4096

  private let key: SymmetricKey

  /// Takes a secret of at least 16 bytes.
  public init?(_ bytes: [UInt8]) {
    guard (Self.shortest...Self.longest).contains(bytes.count) else { return nil }
    key = SymmetricKey(data: bytes)
  }

  /// Reads a file that nobody but its owner, this user or root, may read; a line feed at its end is not part of it.
  ///
  /// - Throws: `WebhookSecretError`.
  public init(file path: String) throws(WebhookSecretError) {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY)
    guard descriptor >= 0 else { throw WebhookSecretError(path: path, .unreadable(errno)) }
    defer { close(descriptor) }
    var status = stat()
    guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
      throw WebhookSecretError(path: path, .noFile)
    }
    guard status.st_mode & 0o077 == 0 else {
      throw WebhookSecretError(path: path, .loose(status.st_mode & 0o777))
    }
    guard status.st_uid == geteuid() || status.st_uid == 0 else {
      throw WebhookSecretError(path: path, .foreign(status.st_uid))
    }
    var bytes = [UInt8](repeating: 0, count: Self.longest + 2)
    let count = read(descriptor, &bytes, bytes.count)
    bytes = Array(bytes.prefix(max(0, count)))
    while bytes.last == 0x0a || bytes.last == 0x0d { bytes.removeLast() }
    guard let secret = WebhookSecret(bytes) else { throw WebhookSecretError(path: path, .length) }
    self = secret
  }

  /// The signature of a text and a body behind it, as 64 hexadecimal digits.
  public func signature(of head: String, _ body: [UInt8]) -> String {
    let digits = Array("0123456789abcdef".utf8)
    let code = HMAC<SHA256>.authenticationCode(for: Array(head.utf8) + body, using: key)
    return String(decoding: code.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
  }

  /// Whether a signature is the right one, in a time that does not tell how much of it is.
  public func isSigned(_ head: String, _ body: [UInt8], by signature: [UInt8]) -> Bool {
    let own = Array(self.signature(of: head, body).utf8)
    guard own.count == signature.count else { return false }
    return zip(own, signature).reduce(0) { $0 | ($1.0 ^ $1.1) } == 0
  }
}

/// Why a file holds no secret.
public struct WebhookSecretError: Error, Hashable, Sendable, CustomStringConvertible {
  /// The file.
  public var path: String
  /// What is wrong.
  public var problem: Problem

  /// What can be wrong.
  public enum Problem: Hashable, Sendable {
    /// It cannot be opened, by this errno(3).
    case unreadable(Int32)
    /// It is no regular file.
    case noFile
    /// Others may read it, by this mode.
    case loose(UInt32)
    /// It is another user's.
    case foreign(UInt32)
    /// Too short or too long.
    case length
  }

  init(path: String, _ problem: Problem) { (self.path, self.problem) = (path, problem) }

  public var description: String {
    switch problem {
    case .unreadable(let code):
      "the webhook's secret '\(path)' cannot be read: \(String(cString: strerror(code))). Make it with 'openssl rand -hex 32'."
    case .noFile: "the webhook's secret '\(path)' is no file. Name a regular one."
    case .loose(let mode):
      "others may read the webhook's secret '\(path)' (mode \(String(mode, radix: 8))). Run 'chmod 600 \(path)'."
    case .foreign(let user):
      "the webhook's secret '\(path)' belongs to user \(user). Give it to whom the gate runs as."
    case .length:
      "the webhook's secret '\(path)' is not of 16 to 4096 bytes. Make one with 'openssl rand -hex 32'."
    }
  }
}
