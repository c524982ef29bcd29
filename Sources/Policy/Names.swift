/// The name of an agent: `[a-z0-9][a-z0-9_-]{0,62}`.
public struct AgentName: Hashable, Sendable, CustomStringConvertible {
  /// The name as ASCII text.
  public let text: String

  /// The longest name in bytes.
  public static let maximumLength = 63

  /// Takes a name; nil for any other form.
  public init?(_ text: String) {
    guard
      isWord(
        text.utf8, atMost: Self.maximumLength, first: isLowerOrDigit,
        rest: { isLowerOrDigit($0) || isOne(of: "_-", $0) })
    else { return nil }
    self.text = text
  }

  private init(known text: String) {
    self.text = text
  }

  /// The agent of every listener that the policy gives to nobody else.
  public static let `default` = AgentName(known: "default")

  public var description: String { text }
}

/// What a rule is called in records and on the command line:
/// `[A-Za-z0-9][A-Za-z0-9_.:/-]{0,127}`.
public struct RuleID: Hashable, Sendable, CustomStringConvertible {
  /// The id as ASCII text.
  public let text: String

  /// The longest id in bytes.
  public static let maximumLength = 128

  /// Takes an id; nil for any other form.
  public init?(_ text: String) {
    let isLetterOrDigit = { (byte: UInt8) in
      isLowerOrDigit(byte) || (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte)
    }
    guard
      isWord(
        text.utf8, atMost: Self.maximumLength, first: isLetterOrDigit,
        rest: { isLetterOrDigit($0) || isOne(of: "_.:/-", $0) })
    else { return nil }
    self.text = text
  }

  public var description: String { text }
}

private func isWord(
  _ bytes: some Collection<UInt8>, atMost length: Int, first: (UInt8) -> Bool, rest: (UInt8) -> Bool
) -> Bool {
  guard let start = bytes.first, bytes.count <= length else { return false }
  return first(start) && bytes.dropFirst().allSatisfy(rest)
}

private func isLowerOrDigit(_ byte: UInt8) -> Bool {
  (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte)
    || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
}

private func isOne(of choices: StaticString, _ byte: UInt8) -> Bool {
  choices.withUTF8Buffer { $0.contains(byte) }
}

extension RuleID {
  /// The id of a suggestion whose destination makes none.
  static let suggested = RuleID(known: "allow-suggested")

  private init(known text: String) {
    self.text = text
  }
}
