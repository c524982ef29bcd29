import Addressing
import Audit
import EventLoop
import Policy
import Wire

/// What the name service remembers of questions: answers that are ready to be
/// given, and what the log has not been told of yet. Pure: time is an argument.
struct NameMemory {
  /// Answers kept; some 300 bytes each.
  static let answerCapacity = 16_384
  /// Denials kept: as many as are told apart in the log.
  static let denialCapacity = 4096

  /// In bytes of records: 8 aliases of the longest names and 64 addresses fit. What
  /// is larger is asked for again each time; all the others together have 64 MiB.
  static let largestAnswer = 4096

  private var answers: AnswerTable
  private var denials: AnswerTable
  private var questionLog = QuestionLog()
  init(answers: Int = NameMemory.answerCapacity, denials: Int = NameMemory.denialCapacity) {
    self.answers = AnswerTable(capacity: answers)
    self.denials = AnswerTable(capacity: denials)
  }

  /// Answers that let something pass.
  var answerCount: Int { answers.count }

  /// The answer to a question that is remembered, and counts that it is given.
  ///
  /// - Parameters:
  ///   - name: In lower case, as on the wire.
  ///   - mayAllow: Whether anything may pass now.
  mutating func answer(
    to name: UnsafeRawBufferPointer, hash: Int, _ type: DNSRecordType, _ agent: AgentNumber,
    mayAllow: Bool, at now: MonotonicTime
  ) -> Answered? {
    if mayAllow, let place = answers.place(of: name, hash: hash, type, agent),
      now < answers.entries[place].answered.until
    {
      let answered = answers.entries[place].answered
      if !answers.give(place, at: now) { questionLog.count(answered.verdict, of: agent, at: now) }
      return answered
    }
    guard let place = denials.place(of: name, hash: hash, type, agent),
      now < denials.entries[place].answered.until
    else { return nil }
    let answered = denials.entries[place].answered
    if !denials.give(place, at: now) { questionLog.count(answered.verdict, of: agent, at: now) }
    return answered
  }

  /// Whether a question, newly decided, is to have a record; else it was counted.
  mutating func isWorthRecord(_ key: QuestionKey, _ verdict: QuestionVerdict, at now: MonotonicTime) -> Bool {
    let isTold =
      verdict.isDenial ? denials.counted(key, verdict, at: now) : answers.counted(key, verdict, at: now)
    guard !isTold else { return false }
    return isWorthRecord(key.agent, verdict, at: now)
  }

  /// The same for what is no question that could be remembered.
  mutating func isWorthRecord(_ agent: AgentNumber, _ verdict: QuestionVerdict, at now: MonotonicTime) -> Bool
  {
    if questionLog.take(agent) { return true }
    questionLog.count(verdict, of: agent, at: now)
    return false
  }

  /// Whether another question of `agent` can have a record of its own in this period.
  func hasRoomForRecord(of agent: AgentNumber) -> Bool { questionLog.hasRoom(agent) }

  /// Counts a question that has none.
  mutating func count(_ verdict: QuestionVerdict, of agent: AgentNumber, at now: MonotonicTime) {
    questionLog.count(verdict, of: agent, at: now)
  }

  /// Counts a question that is like one that was told of, or counted, just now.
  mutating func countAnother(_ key: QuestionKey, _ verdict: QuestionVerdict, at now: MonotonicTime) {
    let isTold =
      verdict.isDenial ? denials.counted(key, verdict, at: now) : answers.counted(key, verdict, at: now)
    if !isTold { questionLog.count(verdict, of: key.agent, at: now) }
  }

  /// Keeps an answer for the next who ask.
  ///
  /// - Returns: An entry that had to go for it and has something to tell.
  mutating func keep(
    _ key: QuestionKey, _ question: Question, _ answered: Answered, isRecorded: Bool, at now: MonotonicTime
  ) -> AnswerTable.Entry? {
    let heard = AnswerTable.Heard(isRecorded: isRecorded, told: now)
    var answered = answered
    if answered.answer.records.count > Self.largestAnswer {
      let empty = DNSAnswer(answered.answer.responseCode, answered.answer.error)
      answered = Answered(answer: empty, verdict: answered.verdict, until: now)
    }
    let entry = AnswerTable.Entry(key, question, answered, heard)
    let gone =
      answered.verdict.isDenial ? denials.store(entry, at: now) : answers.store(entry, at: now)
    return gone.flatMap { $0.heard.count > 0 ? $0 : nil }
  }

  /// What was counted for ten seconds, or all of it.
  mutating func tell(at now: MonotonicTime, all: Bool = false) -> [AnswerTable.Entry] {
    let period = all ? .zero : QuestionLog.period
    return answers.tell(at: now, after: period) + denials.tell(at: now, after: period)
  }

  /// The sums of what had no record, when they are due.
  mutating func sums(at now: MonotonicTime, all: Bool = false) -> [QuestionLog.Sum] {
    questionLog.sums(at: now, all: all)
  }

  /// Forgets every answer; what was counted must have been told.
  mutating func forget() {
    answers.removeAll()
    denials.removeAll()
  }
}

extension AnswerTable {
  /// Counts a question of which the same was told less than ten seconds ago; false when it was not.
  fileprivate mutating func counted(_ key: QuestionKey, _ verdict: QuestionVerdict, at now: MonotonicTime)
    -> Bool
  {
    guard let place = place(of: key), now - entries[place].heard.told < QuestionLog.period,
      entries[place].answered.verdict.isTold(like: verdict)
    else { return false }
    return give(place, at: now)
  }

  /// Keeps an entry, in the place of an older one for the same question. Returns
  /// the one that had to go for it.
  fileprivate mutating func store(_ entry: Entry, at now: MonotonicTime) -> Entry? {
    guard let place = place(of: entry.key) else { return insert(entry, at: now) }
    return replace(place, entry.answered, entry.heard)
  }

  private func place(of key: QuestionKey) -> Int? {
    key.name.withUnsafeBytes { place(of: $0, hash: key.hash, key.type, key.agent) }
  }
}
