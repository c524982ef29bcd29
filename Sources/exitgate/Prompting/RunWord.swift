/// The word by which a person knows the gate's questions from a picture of one.
enum RunWord {
  private static let consonants = Array("bdfghjklmnprstvz")
  private static let vowels = Array("aeiou")

  /// Three syllables, one of 512,000 words.
  static func draw() -> String {
    var generator = SystemRandomNumberGenerator()
    return String(
      (0..<3).flatMap { _ in
        [consonants, vowels].compactMap { $0.randomElement(using: &generator) }
      })
  }
}
