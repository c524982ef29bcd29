import Dispatch

/// What the keeper was asked: who waits for an answer, and what became of the
/// rules of a question that was given up. It does no I/O, and time is an argument.
struct KeeperQuestions {
  typealias Completion = @Sendable (KeeperReply) -> Void

  struct Question {
    var request: KeeperRequest
    var asked: DispatchTime
    /// nil: given up.
    var completion: Completion?
  }

  /// After so many nanoseconds without a word the keeper is taken for dead.
  static let silenceLimit: UInt64 = 10_000_000_000

  /// In milliseconds, for what takes no work; a grant of a table takes one more (0.1 in a release build).
  private static let promptness = 2000
  /// In milliseconds, below `silenceLimit`.
  private static let longestWork = 8000

  private var open: [UInt32: Question] = [:]
  private var last: UInt32 = 1
  /// The rules that the gate goes by; nil before the first.
  private var rules: FenceRules?
  /// The marks of rules that may be in force though it was said that they are not.
  private var doubtful: Set<UInt32> = []
  private var isCertain = true
  /// Since when nothing was answered; nil where the last question was.
  private var silentSince: DispatchTime?
  /// Whether nobody has been told yet.
  private(set) var isFirstSilence = false

  /// Takes note of the rules of the first table.
  mutating func begin(with rules: FenceRules) { self.rules = rules }

  /// - Returns: The question's number.
  mutating func ask(
    _ request: KeeperRequest, at now: DispatchTime, _ completion: @escaping Completion
  ) -> UInt32 {
    last = last == .max ? 2 : last + 1
    open[last] = Question(request: request, asked: now, completion: completion)
    return last
  }

  /// What an answer to the last question may take, in milliseconds: a keeper's work takes one or two, but for filling the
  /// table, which everything asked later waits for as well.
  var answerTime: Int {
    min(Self.promptness + open.values.reduce(0) { $0 + $1.grantCount }, Self.longestWork)
  }

  /// Ends the waiting for an answer.
  ///
  /// - Returns: Whom to tell; nil where it has come.
  mutating func giveUp(_ number: UInt32) -> Completion? {
    guard let question = open[number], let completion = question.completion else { return nil }
    isFirstSilence = silentSince == nil
    silentSince = silentSince ?? question.asked
    open[number]?.completion = nil
    if case .refill(let rules, _) = question.request {
      isCertain = false
      doubtful.formUnion(rules.marks)
    }
    return completion
  }

  func isSilentForGood(at now: DispatchTime) -> Bool {
    silentSince.map { now.uptimeNanoseconds - $0.uptimeNanoseconds >= Self.silenceLimit } ?? false
  }

  /// - Returns: Whether there was a silence that somebody was told of.
  mutating func endSilence() -> Bool {
    defer { silentSince = nil }
    return silentSince != nil
  }

  /// Takes an answer in, whether or not anybody waits for it still.
  mutating func answered(_ number: UInt32, _ reply: KeeperReply) -> Completion? {
    guard let question = open.removeValue(forKey: number) else { return nil }
    if case .refill(let refilled, _) = question.request, reply == .done {
      if question.completion != nil { rules = refilled }
      if refilled == rules { (isCertain, doubtful) = (true, []) }
    }
    return question.completion
  }

  /// What puts the rules that the gate goes by in force once more, where others
  /// may be; nil while an answer about rules is still to come.
  var correction: KeeperRequest? {
    guard !isCertain, let rules, !open.values.contains(where: \.isRefill) else { return nil }
    return .refill(rules, revoked: doubtful.subtracting(rules.marks))
  }

  /// - Returns: All that wait.
  mutating func end() -> [Completion] {
    defer { open = [:] }
    return open.values.compactMap(\.completion)
  }
}

extension KeeperQuestions.Question {
  fileprivate var isRefill: Bool { if case .refill = request { true } else { false } }

  /// How many grants it brings.
  fileprivate var grantCount: Int {
    if case .refill(let rules, _) = request { rules.grants.reduce(0) { $0 + $1.count } } else { 0 }
  }
}
