import Dispatch
import Synchronization
import Testing

@testable import Keeper

/// Questions that the keeper answers late, or never.
@Suite struct QuestionTests {
  private static func after(_ seconds: UInt64) -> DispatchTime {
    DispatchTime(uptimeNanoseconds: 1_000_000_000_000 + seconds * 1_000_000_000)
  }

  private static func rules(_ marks: Set<UInt32>) throws -> FenceRules {
    var rules = try MessageTests.rules()
    rules.marks = marks
    return rules
  }

  /// Notes what one who asked was told.
  private final class Ear: Sendable {
    let heard = Mutex<[KeeperReply]>([])
    var completion: KeeperQuestions.Completion { { reply in self.heard.withLock { $0.append(reply) } } }
  }

  @Test("an answer goes to whoever asked, once, and a late one to nobody")
  func answers() throws {
    var questions = KeeperQuestions()
    let ear = Ear()
    let first = questions.ask(.report, at: Self.after(0), ear.completion)
    let second = questions.ask(.count, at: Self.after(0), ear.completion)
    questions.answered(second, .done)?(.done)
    #expect(questions.giveUp(second) == nil, "it has its answer")
    questions.giveUp(first)?(.refused("late"))
    #expect(questions.giveUp(first) == nil && questions.answered(first, .done) == nil)
    #expect(ear.heard.withLock { $0 } == [.done, .refused("late")])
    #expect(questions.correction == nil, "nothing was said to be refused that may be in force")
  }

  @Test("silence is told of once, ends with a word, and is for good after ten seconds")
  func silence() {
    var questions = KeeperQuestions()
    let numbers = (0..<3).map { questions.ask(.count, at: Self.after($0)) { _ in } }
    #expect(questions.giveUp(numbers[0]) != nil && questions.isFirstSilence)
    #expect(!questions.isSilentForGood(at: Self.after(2)))
    #expect(questions.giveUp(numbers[1]) != nil && !questions.isFirstSilence)
    #expect(!questions.isSilentForGood(at: Self.after(9)) && questions.isSilentForGood(at: Self.after(10)))
    #expect(questions.endSilence() && !questions.endSilence())
    #expect(!questions.isSilentForGood(at: Self.after(100)))
    #expect(questions.giveUp(numbers[2]) != nil && questions.isFirstSilence)
  }

  @Test("what fills a large table gets time for it, as does what is asked behind it; not for ever")
  func work() throws {
    var questions = KeeperQuestions(), large = try Self.rules([2])
    let grant = try #require(large.grants.joined().first)
    large.grants = [Array(repeating: grant, count: 1500), Array(repeating: grant, count: 1500)]
    _ = questions.ask(.report, at: Self.after(0)) { _ in }
    #expect(questions.answerTime == 2000)
    let filling = questions.ask(.refill(large, revoked: []), at: Self.after(0)) { _ in }
    #expect(questions.answerTime == 5000)
    _ = questions.ask(.report, at: Self.after(0)) { _ in }
    #expect(questions.answerTime == 5000)
    _ = questions.answered(filling, .done)
    #expect(questions.answerTime == 2000)
    for _ in 0..<5 { _ = questions.ask(.refill(large, revoked: []), at: Self.after(0)) { _ in } }
    #expect(
      questions.answerTime == 8000 && UInt64(questions.answerTime) * 1_000_000 < KeeperQuestions.silenceLimit)
  }

  @Test("OPS-06 rules that come into force though they were refused are taken back, and their flows ended")
  func corrections() throws {
    let old = try Self.rules([2]), new = try Self.rules([2, 9])
    var questions = KeeperQuestions()
    questions.begin(with: old)
    let late = questions.ask(.refill(new, revoked: []), at: Self.after(0)) { _ in }
    #expect(questions.giveUp(late) != nil && questions.correction == nil, "nobody knows yet")
    #expect(questions.answered(late, .done) == nil)
    #expect(questions.correction == .refill(old, revoked: [9]))
    let correction = questions.ask(.refill(old, revoked: [9]), at: Self.after(3)) { _ in }
    #expect(questions.correction == nil, "it is on its way")
    #expect(questions.giveUp(correction) != nil, "late as well, and yet right")
    #expect(questions.answered(correction, .done) == nil && questions.correction == nil)
  }

  @Test("rules that were asked for later are those in force")
  func later() throws {
    let old = try Self.rules([2]), refused = try Self.rules([2, 9]), new = try Self.rules([2, 11])
    var questions = KeeperQuestions()
    questions.begin(with: old)
    let late = questions.ask(.refill(refused, revoked: []), at: Self.after(0)) { _ in }
    _ = questions.giveUp(late)
    let next = questions.ask(.refill(new, revoked: []), at: Self.after(3)) { _ in }
    #expect(questions.answered(late, .done) == nil && questions.correction == nil)
    #expect(questions.answered(next, .done) != nil && questions.correction == nil)
    let wrong = questions.ask(.refill(refused, revoked: []), at: Self.after(4)) { _ in }
    _ = questions.giveUp(wrong)
    _ = questions.answered(wrong, .refused("no"))
    #expect(questions.correction == .refill(new, revoked: [9]), "what became of it nobody knows")
  }
}
