/// 256 random bits as 64 hexadecimal digits: a token, or the name of a session.
struct Secret: Hashable, Sendable {
  /// The digits.
  let text: String

  /// Draws one from the kernel (getrandom(2)).
  init() {
    var generator = SystemRandomNumberGenerator()
    text = (0..<4).map { _ in
      let part = String(generator.next(), radix: 16)
      return String(repeating: "0", count: 16 - part.utf8.count) + part
    }.joined()
  }

  /// Whether somebody knows it, in a time that does not tell how much of it they know.
  func isKnown(as other: some Collection<UInt8>) -> Bool {
    guard other.count == text.utf8.count else { return false }
    return zip(text.utf8, other).reduce(0) { $0 | ($1.0 ^ $1.1) } == 0
  }
}
