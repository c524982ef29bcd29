/// Why the head of a response is refused: 502, and the connection ends.
public enum ResponseError: String, Error, Hashable, Sendable, CaseIterable {
  /// A bare CR or LF.
  case lineEnd = "line-end"
  /// Not `HTTP/1.0` or `HTTP/1.1`, a space, three digits from 100 to 599, a space, a reason.
  case statusLine = "status-line"
  /// Larger than 64 KiB, a line longer than 8 KiB, or more than 256 fields.
  case headTooLarge = "head-too-large"
  /// Not `name: value`.
  case field
  /// A field continued on the next line.
  case foldedField = "obs-fold"
  /// Two lengths, a length beside a coding, a length that is no number, or a
  /// coding other than chunked.
  case framing
  /// 101 although no upgrade was asked for.
  case unexpectedUpgrade = "unexpected-upgrade"

  /// The word for the log; never a byte of the response.
  public var token: String { rawValue }

  init(_ error: HeadError) {
    self =
      switch error {
      case .lineEnd: .lineEnd
      case .startLineTooLong, .headTooLarge, .tooManyFields: .headTooLarge
      case .badField: .field
      case .foldedField: .foldedField
      }
  }
}
