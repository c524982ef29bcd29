import Addressing
import EventLoop
import Policy
import Testing
import Wire

@testable import Gateway

/// What is asked, kept and told, as a dictionary and plain counts.
private struct NaiveMemory {
  struct Kind: Hashable {
    var agent: AgentNumber
    var isDenial: Bool
  }
  struct Question: Hashable {
    var name: String
    var type: DNSRecordType
    var agent: AgentNumber
  }

  var kept: [Question: Answered] = [:]
  var asked: [Kind: UInt64] = [:]
  var accounted: [Kind: UInt64] = [:]
  /// What each question was answered with, and what the log was told of it by name.
  var heard: [String: UInt64] = [:]
  var told: [String: UInt64] = [:]

  mutating func ask(_ question: Question, _ verdict: QuestionVerdict) {
    asked[Kind(agent: question.agent, isDenial: verdict.isDenial), default: 0] += 1
    heard[label(question, verdict), default: 0] += 1
  }

  mutating func tell(_ question: Question, _ verdict: QuestionVerdict, _ count: UInt64) {
    accounted[Kind(agent: question.agent, isDenial: verdict.isDenial), default: 0] += count
    told[label(question, verdict), default: 0] += count
  }

  private func label(_ question: Question, _ verdict: QuestionVerdict) -> String {
    var verdict = verdict
    verdict.address = nil
    return "\(question.name) \(question.type) \(question.agent) \(verdict.words)"
  }
}

@Suite("What the name service remembers")
struct NameMemoryTests {
  /// A service without sockets: asks, decides by a draw, and keeps.
  private struct World {
    var memory: NameMemory
    var naive = NaiveMemory()
    var random: SeededStory
    var now = MemoryBench.start
    let names: Int
    let hash: Int?
    /// Whether nothing ever has to go.
    let isRoomy: Bool
    var hits = 0, evictions = 0

    mutating func step() throws {
      now = now + .milliseconds(Int(random.next() % 300))
      let question = NaiveMemory.Question(
        name: "n\(random.next() % UInt64(names)).test", type: random.next() % 3 == 0 ? .aaaa : .a,
        agent: AgentNumber(random.next() % 3))
      let key = try MemoryBench.key(question.name, question.agent, question.type, hash: hash)
      let found = key.name.withUnsafeBytes { [now] in
        memory.answer(to: $0, hash: key.hash, key.type, key.agent, mayAllow: true, at: now)
      }
      if let found { try check(found, question) } else { try decide(question, key) }
    }

    private mutating func check(_ found: Answered, _ question: NaiveMemory.Question) throws {
      hits += 1
      let kept = try #require(naive.kept[question], "an answer that was never kept")
      #expect(
        found.verdict == kept.verdict && found.answer == kept.answer, "another question's, or an old one")
      #expect(now < kept.until)
      naive.ask(question, found.verdict)
    }

    private mutating func decide(_ question: NaiveMemory.Question, _ key: QuestionKey) throws {
      if isRoomy, let kept = naive.kept[question] { #expect(now >= kept.until, "lost") }
      let draws: [(Action, Reason)] = [
        (.allow, .allowed), (.allow, .cnameDenied), (.deny, .noRule), (.deny, .rebinding),
      ]
      let draw = draws[Int(random.next() % 4)]
      let mark = UInt32(random.next() % 2)
      let answered = MemoryBench.answered(
        mark, draw.0, draw.1, until: now + .milliseconds(Int(random.next() % 9000)))
      let isRecorded = memory.isWorthRecord(key, answered.verdict, at: now)
      naive.ask(question, answered.verdict)
      if isRecorded { naive.tell(question, answered.verdict, 1) }
      naive.kept[question] = answered
      let gone = memory.keep(
        key, try MemoryBench.question(question.name, question.type), answered, isRecorded: isRecorded, at: now
      )
      if let gone {
        evictions += 1
        tell(gone)
      }
    }

    mutating func tell(_ entry: AnswerTable.Entry) {
      #expect(entry.heard.count > 0 && entry.heard.first <= entry.heard.last && entry.heard.last <= now)
      let question = NaiveMemory.Question(
        name: entry.question.name.text, type: entry.key.type, agent: entry.key.agent)
      naive.tell(question, entry.answered.verdict, entry.heard.count)
    }

    mutating func tellAll(all: Bool) {
      for entry in memory.tell(at: now, all: all) { tell(entry) }
      for sum in memory.sums(at: now, all: all) {
        naive.accounted[.init(agent: sum.agent, isDenial: sum.verdict.isDenial), default: 0] += sum.count
      }
    }
  }

  struct Shape: Sendable, CustomTestStringConvertible {
    var answers: Int, denials: Int, names: Int, hash: Int?, because: String
    var testDescription: String { because }
  }

  static let shapes = [
    Shape(answers: 4096, denials: 4096, names: 40, hash: nil, because: "room for all"),
    Shape(answers: 4096, denials: 4096, names: 20, hash: 7, because: "room for all, in one bucket"),
    Shape(answers: 7, denials: 5, names: 40, hash: nil, because: "little room"),
    Shape(answers: 7, denials: 5, names: 40, hash: 0, because: "little room, one bucket"),
    Shape(answers: 1, denials: 1, names: 4, hash: nil, because: "room for one"),
    Shape(
      answers: 64, denials: 64, names: 4000, hash: nil, because: "more kinds than have a record of their own"),
  ]

  @Test(
    "like a dictionary that counts: nobody's answer for another, no question untold or told twice",
    arguments: shapes)
  func twin(_ shape: Shape) throws {
    var world = World(
      memory: NameMemory(answers: shape.answers, denials: shape.denials),
      random: SeededStory(seed: UInt64(shape.names)), names: shape.names, hash: shape.hash,
      isRoomy: shape.answers > 1000)
    for step in 1...6000 {
      try world.step()
      if step % 7 == 0 { world.tellAll(all: false) }
      if step % 1500 == 0 {
        world.tellAll(all: true)
        #expect(world.naive.accounted == world.naive.asked, "after \(step)")
        world.memory.forget()
        world.naive.kept = [:]
        #expect(world.memory.answerCount == 0)
      }
    }
    for (kind, count) in world.naive.told { #expect(count <= world.naive.heard[kind] ?? 0, "\(kind)") }
    if shape.names < 4000 {
      #expect(world.naive.told == world.naive.heard, "every kind, under its own verdict")
    }
    #expect(world.hits > 100 || shape.names == 4000)
    #expect(shape.answers > 64 || shape.names == 4000 || world.evictions > 0)
  }

  // MARK: - One by one

  static func ask(_ memory: inout NameMemory, _ name: String, _ answered: Answered, at now: MonotonicTime)
    throws
    -> Bool
  {
    let key = try MemoryBench.key(name)
    let found = key.name.withUnsafeBytes {
      memory.answer(to: $0, hash: key.hash, key.type, key.agent, mayAllow: true, at: now)
    }
    guard found == nil else { return false }
    let isRecorded = memory.isWorthRecord(key, answered.verdict, at: now)
    let gone = memory.keep(key, try MemoryBench.question(name), answered, isRecorded: isRecorded, at: now)
    #expect(gone == nil)
    return isRecorded
  }

  @Test("the first at once, the others each ten seconds with their own times")
  func rollUps() throws {
    var memory = NameMemory()
    let answered = MemoryBench.answered(1, .deny, .noRule)
    #expect(try Self.ask(&memory, "a.test", answered, at: MemoryBench.at(0)))
    for second in 1...9 {
      #expect(try !Self.ask(&memory, "a.test", answered, at: MemoryBench.at(second)))
      #expect(memory.tell(at: MemoryBench.at(second)).isEmpty)
    }
    let told = memory.tell(at: MemoryBench.at(10))
    #expect(told.map(\.heard.count) == [9])
    #expect(told.first?.heard.first == MemoryBench.at(1) && told.first?.heard.last == MemoryBench.at(9))
    #expect(memory.tell(at: MemoryBench.at(60)).isEmpty, "nothing since")
    _ = try Self.ask(&memory, "a.test", answered, at: MemoryBench.at(61))
    #expect(memory.tell(at: MemoryBench.at(61)).map(\.heard.count) == [1], "ten seconds are long over")
    _ = try Self.ask(&memory, "a.test", answered, at: MemoryBench.at(62))
    #expect(memory.tell(at: MemoryBench.at(70)).isEmpty)
    #expect(memory.tell(at: MemoryBench.at(70), all: true).map(\.heard.count) == [1], "the gate stops")
  }

  @Test("an answer that is over is asked for again, without a record within ten seconds of the last")
  func short() throws {
    var memory = NameMemory()
    let once = { (second: Int) in MemoryBench.answered(1, until: MemoryBench.at(second + 1)) }
    #expect(try Self.ask(&memory, "a.test", once(0), at: MemoryBench.at(0)))
    for second in [2, 4, 6, 8] {
      #expect(try !Self.ask(&memory, "a.test", once(second), at: MemoryBench.at(second)))
    }
    #expect(memory.tell(at: MemoryBench.at(10)).map(\.heard.count) == [4])
    #expect(try Self.ask(&memory, "a.test", once(21), at: MemoryBench.at(21)), "eleven seconds after")
  }

  @Test("what is too large to be kept is asked for again, and counted all the same")
  func large() throws {
    for (size, isKept) in [(4096 - 12, true), (4097 - 12, false)] {
      var memory = NameMemory()
      var builder = DNSAnswerBuilder(questionLength: 12)
      builder.add(DNSRecordType(rawValue: 16), [UInt8](repeating: 1, count: size))
      let answered = Answered(
        answer: builder.finish(.noError), verdict: MemoryBench.answered(1).verdict, until: MemoryBench.at(60))
      #expect(try Self.ask(&memory, "a.test", answered, at: MemoryBench.at(0)))
      let key = try MemoryBench.key("a.test")
      let found = key.name.withUnsafeBytes {
        memory.answer(to: $0, hash: key.hash, key.type, 0, mayAllow: true, at: MemoryBench.at(1))
      }
      #expect((found != nil) == isKept)
      #expect(try !Self.ask(&memory, "a.test", answered, at: MemoryBench.at(2)), "no second record")
      #expect(memory.tell(at: MemoryBench.at(10)).map(\.heard.count) == [isKept ? 2 : 1])
    }
  }

  @Test("while the log cannot be written, no answer lets anything pass; denials are still given")
  func unwritable() throws {
    var memory = NameMemory()
    for (name, action) in [("a.test", Action.allow), ("d.test", .deny)] {
      _ = try Self.ask(&memory, name, MemoryBench.answered(1, action, .noRule), at: MemoryBench.at(0))
      let key = try MemoryBench.key(name)
      for mayAllow in [false, true] {
        let found = key.name.withUnsafeBytes {
          memory.answer(to: $0, hash: key.hash, key.type, 0, mayAllow: mayAllow, at: MemoryBench.at(1))
        }
        #expect((found != nil) == (mayAllow || action == .deny))
      }
    }
  }

  @Test("512 kinds of an agent have a record of their own in ten seconds; the rest is in two sums, exactly")
  func kinds() throws {
    var memory = NameMemory(answers: 2000, denials: 2000)
    var recorded = 0
    for number in 0..<700 {
      let answered = MemoryBench.answered(
        1, number % 2 == 0 ? .allow : .deny, number % 2 == 0 ? .allowed : .noRule)
      for _ in 0..<2 {
        if try Self.ask(&memory, "n\(number).test", answered, at: MemoryBench.at(number / 100)) {
          recorded += 1
        }
      }
    }
    #expect(recorded == QuestionLog.kindsPerAgent)
    #expect(
      memory.isWorthRecord(
        try MemoryBench.key("n.test", 1), MemoryBench.answered(1).verdict, at: MemoryBench.at(6)),
      "another agent has its own")
    #expect(memory.tell(at: MemoryBench.at(20), all: true).map(\.heard.count).reduce(0, +) == 512)
    let sums = memory.sums(at: MemoryBench.at(20))
    #expect(sums.map(\.count) == [188, 188] && sums.map(\.verdict.action) == [.deny, .allow])
    #expect(sums.allSatisfy { $0.first == MemoryBench.at(5) && $0.last == MemoryBench.at(6) })
    #expect(memory.sums(at: MemoryBench.at(20), all: true).isEmpty, "told once")
    #expect(
      memory.isWorthRecord(
        try MemoryBench.key("m.test"), MemoryBench.answered(1).verdict, at: MemoryBench.at(20)),
      "a new period")
  }

  @Test("what was counted under one verdict is not told under another")
  func replaced() throws {
    var memory = NameMemory()
    let first = MemoryBench.answered(1, .deny, .rebinding, until: MemoryBench.at(3))
    _ = try Self.ask(&memory, "a.test", first, at: MemoryBench.at(0))
    _ = try Self.ask(&memory, "a.test", first, at: MemoryBench.at(1))
    let key = try MemoryBench.key("a.test"), next = MemoryBench.answered(1, .deny, .dnsBudget)
    let isRecorded = memory.isWorthRecord(key, next.verdict, at: MemoryBench.at(4))
    #expect(isRecorded, "another verdict is another kind")
    let gone = memory.keep(
      key, try MemoryBench.question("a.test"), next, isRecorded: isRecorded, at: MemoryBench.at(4))
    #expect(gone?.heard.count == 1 && gone?.answered.verdict.reason == .rebinding)
    #expect(memory.tell(at: MemoryBench.at(20)).isEmpty)
  }

  @Test("the moment of a roll-up on both clocks, also for what is said to be of the future")
  func clock() {
    let clock = WallClock(wall: Bench.now, moment: MemoryBench.at(10), generation: 7)
    #expect(clock.time(of: MemoryBench.at(3)).milliseconds == Bench.now.milliseconds - 7000)
    #expect(
      clock.time(of: MemoryBench.at(10)) == Bench.now && clock.time(of: MemoryBench.at(11)) == Bench.now)
  }
}
