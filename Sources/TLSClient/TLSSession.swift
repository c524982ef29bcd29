import Addressing
import COpenSSL

/// One TLS connection's state, without its socket: bytes go in and come out.
///
/// The peer must show a certificate that is valid now, signed by one that is
/// believed, and good for the name or address asked for; else the handshake fails and nothing
/// but it was ever sent (RFC 9525 §6; for DNS the strict profile of RFC 8310 §5).
public final class TLSSession {
  /// What a step came to.
  public enum Step: Hashable {
    /// It is done.
    case done
    /// It goes on when more has come.
    case waits
    /// The peer has ended the session.
    case ended
    /// It is broken, and why.
    case failed(String)
  }

  private let session: OpaquePointer
  /// The largest record of plain text, in bytes (RFC 8446 §5.1).
  private static let record = 16_384

  /// Begins a session with the server that is to be `host`; nil without memory.
  public init?(_ settings: TLSSettings, host: Host) {
    let session: OpaquePointer?
    switch host {
    case .name(let name): session = openssl_session_new(settings.settings, name.text, 1)
    case .address(let address): session = openssl_session_new(settings.settings, "\(address)", 0)
    }
    guard let session else { return nil }
    self.session = session
  }

  deinit { openssl_session_free(session) }

  /// Takes in what came from the peer. Returns whether there was memory for it.
  public func put(_ bytes: UnsafeRawBufferPointer) -> Bool {
    bytes.isEmpty || openssl_put(session, bytes.baseAddress, Int32(clamping: bytes.count)) == 1
  }

  /// Hands out all that is to be sent to the peer.
  public func take() -> [UInt8] {
    var taken: [UInt8] = []
    while true {
      let part = [UInt8](unsafeUninitializedCapacity: Self.record) { buffer, count in
        count = Int(openssl_take(session, buffer.baseAddress, Int32(buffer.count)))
      }
      if part.isEmpty { return taken }
      taken += part
    }
  }

  /// Goes on with the handshake.
  public func handshake() -> Step { step(openssl_handshake(session), in: "the handshake failed") }

  /// Says `bytes`, which must not be empty, to the peer.
  public func write(_ bytes: [UInt8]) -> Step {
    step(openssl_write(session, bytes, Int32(clamping: bytes.count)), in: "it cannot be written to")
  }

  /// Appends all that the peer has said to `bytes`.
  public func read(onto bytes: inout [UInt8]) -> Step {
    while true {
      var result: Int32 = 0
      bytes += [UInt8](unsafeUninitializedCapacity: Self.record) { buffer, count in
        result = openssl_read(session, buffer.baseAddress, Int32(buffer.count))
        count = Int(max(result, 0))
      }
      if result <= 0 { return step(result, in: "the session broke") }
    }
  }

  /// Says goodbye; what that gives is still to be taken and sent.
  public func goodbye() { openssl_goodbye(session) }

  private func step(_ result: Int32, in what: String) -> Step {
    switch result {
    case OPENSSL_WAITS.rawValue: return .waits
    case OPENSSL_ENDED.rawValue: return .ended
    case OPENSSL_FAILED.rawValue:
      let reason = String(cString: openssl_reason(session))
      return .failed(
        openssl_refused_certificate(session) == 1
          ? "its certificate is refused: \(reason)" : "\(what): \(reason)")
    default: return .done
    }
  }
}
