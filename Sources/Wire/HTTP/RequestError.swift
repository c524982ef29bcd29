/// Why a request head is refused. Nothing behind it on the connection may be
/// read as a request.
public enum RequestError: String, Error, Hashable, Sendable, CaseIterable {
  /// A bare CR or LF, or more than one empty line before the request.
  case lineEnd = "line-end"
  /// Not `METHOD SP TARGET SP VERSION`, or a method that is not one token of
  /// at most 32 bytes in upper case.
  case requestLine = "request-line"
  /// Not a version of HTTP at all, or none given (HTTP/0.9).
  case badVersion = "bad-version"
  /// HTTP, but neither 1.0 nor 1.1.
  case unsupportedVersion = "version"
  /// A form of target that a proxy does not take (RFC 9112 §3.2), a fragment,
  /// or a byte that is not visible ASCII.
  case target = "request-target"
  /// A scheme other than `http`.
  case scheme
  /// The host or port of the target is not one.
  case authority
  /// The request line is longer than 8 KiB.
  case targetTooLong = "target-too-long"
  /// The head is larger than 16 KiB, or has more than 128 fields.
  case headTooLarge = "head-too-large"
  /// Not `name: value`: white space before the colon, no name, a control byte.
  case field
  /// A field continued on the next line (RFC 9112 §5.2).
  case foldedField = "obs-fold"
  /// `Host` is missing, repeated, or not an authority.
  case host
  /// `Host` names another place than the target.
  case hostMismatch = "host-mismatch"
  /// The length of the body is given twice, in a way that parsers read
  /// differently, or where there can be no body.
  case framing
  /// A transfer coding other than chunked.
  case transferCoding = "transfer-coding"
  /// `Connection` is not a list of tokens, or names a field that routes or frames.
  case connection
  /// `Expect` is not `100-continue`, is repeated, or comes without a body.
  case expectation
  /// TRACE.
  case method
  /// `Max-Forwards` asks the gate to answer in the origin's place.
  case maxForwards = "max-forwards"

  /// The status to answer with (RFC 9110 §15).
  public var status: Int {
    switch self {
    case .unsupportedVersion: 505
    case .targetTooLong: 414
    case .headTooLarge: 431
    case .transferCoding: 501
    case .expectation: 417
    case .method: 405
    default: 400
    }
  }

  /// The word for the log; never a byte of the request.
  public var token: String { rawValue }

  init(_ error: HeadError) {
    self =
      switch error {
      case .lineEnd: .lineEnd
      case .startLineTooLong: .targetTooLong
      case .headTooLarge, .tooManyFields: .headTooLarge
      case .badField: .field
      case .foldedField: .foldedField
      }
  }
}
