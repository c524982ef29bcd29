extension DNSError {
  /// What a client is told that sent this.
  public var responseCode: DNSResponseCode {
    switch self {
    case .unsupportedOpcode: .notImplemented
    case .unsupportedClass: .refused
    default: .formatError
    }
  }
}

/// Why bytes are not a DNS message, or not one that is answered.
public enum DNSError: Error, Hashable, Sendable {
  /// The message ends inside its header, a name or a record.
  case truncated
  /// A label length byte begins with the bits 01 or 10 (RFC 1035 §4.1.4).
  case reservedLabelType
  /// A name has more than 255 bytes.
  case nameTooLong
  /// A compression pointer leads into the header, or not to before the run of
  /// labels that holds it, or is one of more than 127 for one name.
  case badPointer
  /// A record's data does not fit its type.
  case badRecord
  /// There are bytes behind the last record.
  case trailingBytes
  /// A query where a response was due, or a response where a query was.
  case wrongDirection
  /// The opcode is not QUERY.
  case unsupportedOpcode
  /// There is not exactly one question, or a query that carries answers.
  case wrongCounts
  /// The class of the question is not IN.
  case unsupportedClass
  /// There are two OPT records, or one outside the additional section.
  case badOptions
}
