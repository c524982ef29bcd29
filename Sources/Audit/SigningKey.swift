import Crypto
import FoundationEssentials

/// The Ed25519 key that signs checkpoints and the head file.
///
/// FoundationEssentials is here because swift-crypto hands out keys and
/// signatures as `Data`.
struct SigningKey: Sendable {
  private let key: Curve25519.Signing.PrivateKey

  /// Makes a new key.
  init() {
    key = Curve25519.Signing.PrivateKey()
  }

  /// Takes the 32 bytes of a key; nil for any other number of bytes.
  init?(bytes: [UInt8]) {
    guard let key = try? Curve25519.Signing.PrivateKey(rawRepresentation: bytes) else { return nil }
    self.key = key
  }

  /// The 32 secret bytes.
  var bytes: [UInt8] { Array(key.rawRepresentation) }

  /// The key that others check with.
  var publicKey: VerifyingKey { VerifyingKey(key.publicKey) }

  /// The 64 bytes of the signature over `message`.
  ///
  /// - Throws: what swift-crypto throws, where its library fails.
  func signature(for message: [UInt8]) throws -> [UInt8] {
    Array(try key.signature(for: message))
  }
}

/// The public half of a signing key.
public struct VerifyingKey: Sendable, Hashable, CustomStringConvertible {
  /// The 32 bytes of the key.
  public let bytes: [UInt8]

  fileprivate init(_ key: Curve25519.Signing.PublicKey) {
    bytes = Array(key.rawRepresentation)
  }

  /// Reads 64 hexadecimal digits, as the public key file holds them; nil for
  /// anything else.
  public init?(hex: String) {
    guard let bytes = decodeHex(hex.utf8), bytes.count == 32 else { return nil }
    self.bytes = bytes
  }

  /// Whether `signature` is this key's over `message`.
  func isValid(_ signature: [UInt8], for message: [UInt8]) -> Bool {
    guard let key = try? Curve25519.Signing.PublicKey(rawRepresentation: bytes) else { return false }
    return key.isValidSignature(signature, for: message)
  }

  /// 64 hexadecimal digits.
  public var description: String { hexText(bytes) }
}

/// Reads pairs of hexadecimal digits; nil for anything else.
func decodeHex(_ hex: some Collection<UInt8>) -> [UInt8]? {
  let digits = hex.compactMap(hexNibble)
  guard digits.count == hex.count, digits.count.isMultiple(of: 2) else { return nil }
  return stride(from: 0, to: digits.count, by: 2).map { digits[$0] << 4 | digits[$0 + 1] }
}

/// Two hexadecimal digits for each byte.
func hexText(_ bytes: some Sequence<UInt8>) -> String {
  String(decoding: bytes.flatMap { [hexDigit($0 >> 4), hexDigit($0 & 15)] }, as: UTF8.self)
}
