/// The versions of HTTP that the gate speaks (RFC 9112 §2.3).
public enum HTTPVersion: Hashable, Sendable {
  /// HTTP/1.0: one request for each connection.
  case http10
  /// HTTP/1.1.
  case http11
}

/// How the end of a message's body is found (RFC 9112 §6).
public enum BodyFraming: Hashable, Sendable {
  /// There is no body.
  case none
  /// So many bytes; at most `Int64.max`, so that it fits in an `Int`.
  case length(UInt64)
  /// Chunks up to the last, empty one.
  case chunked
  /// Everything until the sender closes; responses alone.
  case untilClose
}
