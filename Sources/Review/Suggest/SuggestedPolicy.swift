import Addressing
import Audit
import Policy
import PolicyFile

/// A suggestion as a policy file that loads, and that was asked whether it allows what it should.
public struct SuggestedPolicy: Sendable {
  /// What is in it.
  public private(set) var suggestion: Suggestion
  /// The file's text.
  public private(set) var text: String
  /// What loads from it.
  public private(set) var loaded: LoadedPolicy

  /// In bytes, for the rules: what a policy file may have, less room for its head, lists and what is left out.
  private static let budget = PolicyText.sizeLimit - (128 << 10)

  /// Writes a policy, or adds to one.
  ///
  /// - Parameters:
  ///   - base: The file that is added to; without it a new one is begun.
  ///   - loader: Reads the result, which must be right.
  /// - Throws: Where `base` is written in a way that leaves no place for rules.
  public init(
    _ suggestion: Suggestion, addedTo base: PolicyText?, loader: PolicyLoader, at now: Timestamp
  ) throws(PolicyFileError) {
    var fitting = suggestion
    fitting.fit(Self.budget - (base?.text.utf8.count ?? 0))
    self.suggestion = fitting
    text = try Self.text(of: fitting, base)
    loaded = try loader.load(text: text, named: "suggestion")
    // What a rule of the policy stands against is seen only when all of it is there.
    let overruled = fitting.questions.filter {
      $0.decision(under: loaded.policy, at: now).answer != .allow
    }
    guard !overruled.isEmpty else { return }
    self.suggestion.giveUp(overruled)
    text = try Self.text(of: self.suggestion, base)
    loaded = try loader.load(text: text, named: "suggestion")
  }

  private static func text(of suggestion: Suggestion, _ base: PolicyText?) throws(PolicyFileError) -> String {
    let writer = SuggestionText(suggestion)
    guard let base else { return writer.file }
    guard !suggestion.entries.isEmpty || !suggestion.inclusions.isEmpty else { return base.text }
    var rules = suggestion.entries.map(writer.lines)
    if !rules.isEmpty { rules[0] = writer.origin + rules[0] }
    return try base.adding(includes: suggestion.inclusions.map(\.name), rules: rules)
  }
}

extension Suggestion {
  /// Takes back what would not be allowed anyway.
  fileprivate mutating func giveUp(_ questions: Set<PolicyQuestion>) {
    for question in questions {
      leftOut.append(
        LeftOut(
          place: question.place, agent: question.agent.text, why: .overruled, question: question, count: 1))
    }
    listed.subtract(questions)
    for place in entries.indices { entries[place].questions.subtract(questions) }
    entries.removeAll { $0.questions.isEmpty }
    leftOut = Self.joined(leftOut)
  }
}
