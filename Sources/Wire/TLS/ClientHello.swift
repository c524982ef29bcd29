import Addressing

/// Why a client's first flight is refused.
public enum ClientHelloError: String, Error, Hashable, Sendable, CaseIterable {
  /// The bytes are no TLS handshake record.
  case notTLS = "not-tls"
  /// TLS, but not a ClientHello that a server would take.
  case malformed
  /// The hello, or the records around it, are larger than the limit.
  case tooLarge = "too-large"
  /// The server name is not one: none or several in the list, another type of
  /// name, a trailing dot, NUL, or any other byte that no host name holds.
  case serverNameMalformed = "server-name-malformed"
  /// The server name is an address, which RFC 6066 §3 forbids.
  case serverNameIsAddress = "server-name-is-address"

  /// The word for the log; never a byte of the hello.
  public var token: String { rawValue }
}

/// What a ClientHello says before anything is encrypted.
///
/// - Source: RFC 8446 §4.1.2, RFC 6066 §3, RFC 7301 §3.1, RFC 9849 §5.
public struct ClientHello: Hashable, Sendable {
  /// The server name; nil when the extension is missing.
  public let serverName: Hostname?
  /// Whether an encrypted ClientHello, real or greased, comes with it; the
  /// server name is then that of the outer hello.
  public let hasEncryptedClientHello: Bool
  /// The protocols offered inside, at most 16 of them; bytes that are not
  /// UTF-8 are replaced. Hostile text: escape it in a log.
  public let alpn: [String]
}

/// Numbers of extensions (IANA, TLS ExtensionType Values).
private enum ExtensionType {
  static let serverName: UInt16 = 0
  static let applicationProtocols: UInt16 = 16
  static let encryptedClientHello: UInt16 = 0xfe0d
  /// Drafts of it that were once deployed: ESNI, and ECH 08 to 12.
  static let encryptedDrafts: Set<UInt16> = [0xffce, 0xfe08, 0xfe09, 0xfe0a, 0xfe0b, 0xfe0c]
}

extension ClientHello {
  /// Reads the body of a ClientHello message, without its four-byte header.
  init(body: ArraySlice<UInt8>) throws(ClientHelloError) {
    var reader = ByteReader(body)
    guard let version = reader.uint16(), version >> 8 == 3, reader.take(32) != nil,
      let session = reader.vector8(), session.count <= 32,
      let suites = reader.vector16(), suites.count >= 2, suites.count % 2 == 0,
      let compression = reader.vector8(), !compression.isEmpty
    else { throw .malformed }
    guard !reader.isAtEnd else {
      self.init(serverName: nil, hasEncryptedClientHello: false, alpn: [])
      return
    }
    guard let extensions = reader.vector16(), reader.isAtEnd else { throw .malformed }
    try self.init(extensions: extensions)
  }

  private init(extensions: ArraySlice<UInt8>) throws(ClientHelloError) {
    var name: Hostname?, protocols: [String]?, encrypted = false
    var reader = ByteReader(extensions)
    while !reader.isAtEnd {
      guard let type = reader.uint16(), let content = reader.vector16() else { throw .malformed }
      switch type {
      case ExtensionType.serverName:
        guard name == nil else { throw .serverNameMalformed }
        name = try readServerName(content)
      case ExtensionType.applicationProtocols:
        guard protocols == nil else { throw .malformed }
        protocols = try readProtocols(content)
      case ExtensionType.encryptedClientHello: encrypted = true
      default: encrypted = encrypted || ExtensionType.encryptedDrafts.contains(type)
      }
    }
    self.init(serverName: name, hasEncryptedClientHello: encrypted, alpn: protocols ?? [])
  }
}

/// RFC 6066 §3: exactly one entry, of type host_name, without a trailing dot.
private func readServerName(_ content: ArraySlice<UInt8>) throws(ClientHelloError) -> Hostname {
  var reader = ByteReader(content)
  guard let list = reader.vector16(), reader.isAtEnd else { throw .serverNameMalformed }
  reader = ByteReader(list)
  guard reader.byte() == 0, let name = reader.vector16(), reader.isAtEnd else { throw .serverNameMalformed }
  guard IPAddress(name) == nil else { throw .serverNameIsAddress }
  guard name.last != UInt8(ascii: ".") else { throw .serverNameMalformed }
  do { return try Hostname(name) } catch { throw .serverNameMalformed }
}

/// RFC 7301 §3.1.
private func readProtocols(_ content: ArraySlice<UInt8>) throws(ClientHelloError) -> [String] {
  var reader = ByteReader(content)
  guard let list = reader.vector16(), reader.isAtEnd, !list.isEmpty else { throw .malformed }
  reader = ByteReader(list)
  var protocols: [String] = []
  while !reader.isAtEnd {
    guard let name = reader.vector8(), !name.isEmpty else { throw .malformed }
    if protocols.count < 16 { protocols.append(String(decoding: name, as: UTF8.self)) }
  }
  return protocols
}
