import COpenSSL

/// What TLS sessions of one purpose share: whose certificates are believed, and who the client is.
///
/// `@unchecked Sendable`: the settings are not changed once made, and OpenSSL counts
/// their references atomically (SSL_CTX_new(3), openssl-threads(7)).
public final class TLSSettings: @unchecked Sendable {
  let settings: OpaquePointer

  /// A certificate that the client shows when it is asked for one.
  public struct Identity: Hashable, Sendable {
    /// A PEM file: the certificate, then those that lead to its authority.
    public var certificates: String
    /// A PEM file with the private key, not encrypted.
    public var key: String

    /// Names the files.
    public init(certificates: String, key: String) {
      (self.certificates, self.key) = (certificates, key)
    }
  }

  /// Loads the library and the certificates.
  ///
  /// - Parameters:
  ///   - authorities: A PEM file with those that are believed; nil takes the system's.
  ///   - identity: Who the client is; nil: nobody.
  public init(authorities: String? = nil, identity: Identity? = nil) throws(TLSSettingsError) {
    if let problem = openssl_load() { throw .noLibrary(String(cString: problem)) }
    guard let settings = openssl_settings_new(authorities) else { throw .authorities(authorities) }
    self.settings = settings
    if let identity, openssl_settings_identity(settings, identity.certificates, identity.key) != 1 {
      throw .identity(identity)
    }
  }

  deinit { openssl_settings_free(settings) }
}

/// Why no TLS can be spoken.
public enum TLSSettingsError: Error, Hashable, Sendable, CustomStringConvertible {
  /// OpenSSL is not there.
  case noLibrary(String)
  /// The certificates cannot be read, or there are none; nil for the system's.
  case authorities(String?)
  /// The client's own certificate or key cannot be read, or they do not belong together.
  case identity(TLSSettings.Identity)

  public var description: String {
    switch self {
    case .noLibrary(let problem): "TLS needs OpenSSL 3: \(problem). Install it (Debian: libssl3)."
    case .authorities(let file?): "\(file): holds no certificate that can be read. Name a PEM file."
    case .authorities(nil): "the system's certificates cannot be read. Name a PEM file with those to believe."
    case .identity(let identity):
      "\(identity.certificates) and \(identity.key) are no certificate with its key. Name two PEM files, the key not encrypted."
    }
  }
}
