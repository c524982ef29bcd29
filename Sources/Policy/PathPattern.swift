/// A pattern for request paths: `*` stands for any run of bytes within a
/// segment, `**` for any run of bytes. Everything else stands for itself.
///
/// Only a canonical path matches: see `isCanonical(_:)`.
public struct PathPattern: Hashable, Sendable, CustomStringConvertible {
  /// The pattern as written.
  public let text: String

  /// The longest pattern in bytes.
  public static let maximumLength = 1024

  /// Takes a pattern that begins with `/`.
  ///
  /// - Returns: nil when it is too long, or when no canonical path could match it.
  public init?(_ text: String) {
    guard text.utf8.count <= Self.maximumLength, Self.isCanonical(text) else { return nil }
    self.text = text
  }

  public var description: String { text }
}
