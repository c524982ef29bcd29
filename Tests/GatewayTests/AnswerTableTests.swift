import Addressing
import EventLoop
import Policy
import Testing
import Wire

@testable import Gateway

/// Questions, answers and time for the tests of what is remembered.
enum MemoryBench {
  static let start = MonotonicTime(nanoseconds: 1_000_000_000_000)

  static func at(_ seconds: Int) -> MonotonicTime { start + .seconds(seconds) }

  /// - Parameter hash: The same for all: every question is in one bucket.
  static func key(_ name: String, _ agent: AgentNumber = 0, _ type: DNSRecordType = .a, hash: Int? = nil)
    throws
    -> QuestionKey
  {
    let wire = DNSName(try Hostname(name)).wire
    let drawn = wire.withUnsafeBytes { QuestionKey.hash($0, type, agent) }
    return QuestionKey(hash: hash ?? drawn, type: type, agent: agent, name: wire)
  }

  /// An answer that can be told from others by its one address.
  static func answered(
    _ mark: UInt32, _ action: Action = .allow, _ reason: Reason = .allowed, until: MonotonicTime = .at(3600)
  ) -> Answered {
    var builder = DNSAnswerBuilder(questionLength: 10)
    builder.add(.v4(mark))
    let verdict = QuestionVerdict(action: action, reason: reason, address: .v4(mark))
    return Answered(answer: builder.finish(.noError), verdict: verdict, until: until)
  }

  static func question(_ name: String, _ type: DNSRecordType = .a) throws -> Question {
    Question(name: try Hostname(name), type: type)
  }
}

extension MonotonicTime {
  fileprivate static func at(_ seconds: Int) -> MonotonicTime { MemoryBench.at(seconds) }
}

extension AnswerTable {
  fileprivate func place(of key: QuestionKey) -> Int? {
    key.name.withUnsafeBytes { place(of: $0, hash: key.hash, key.type, key.agent) }
  }

  fileprivate mutating func insert(
    _ name: String, _ mark: UInt32 = 1, until: MonotonicTime = .at(3600), hash: Int? = nil
  ) throws -> String? {
    let entry = Entry(
      try MemoryBench.key(name, hash: hash), try MemoryBench.question(name),
      MemoryBench.answered(mark, until: until), Heard(isRecorded: true, told: .at(0)))
    return insert(entry, at: .at(0))?.question.name.text
  }
}

@Suite("The table of answers")
struct AnswerTableTests {
  @Test("who goes: first what is over, then what was not used since the hand passed, in order")
  func eviction() throws {
    var table = AnswerTable(capacity: 4)
    for name in ["a", "b", "c", "d"] { #expect(try table.insert("\(name).test") == nil) }
    #expect(try table.insert("e.test") == "a.test", "nothing was used: the oldest")
    #expect(table.give(try #require(table.place(of: MemoryBench.key("b.test"))), at: .at(0)))
    #expect(try table.insert("f.test") == "c.test", "b was used and is spared once")
    #expect(try table.insert("g.test") == "d.test")
    #expect(try table.insert("h.test") == "e.test")
    #expect(try table.insert("i.test") == "b.test", "b was not used again")
    #expect(table.count == 4)
  }

  @Test("what is over goes though it was used")
  func over() throws {
    var table = AnswerTable(capacity: 2)
    _ = try table.insert("a.test", until: .at(-1))
    _ = try table.insert("b.test")
    for name in ["a.test", "b.test"] {
      #expect(table.give(try #require(table.place(of: MemoryBench.key(name))), at: .at(-2)))
    }
    #expect(try table.insert("c.test") == "a.test")
  }

  @Test("when all were used the hand comes round to the first")
  func round() throws {
    var table = AnswerTable(capacity: 3)
    for name in ["a.test", "b.test", "c.test"] {
      _ = try table.insert(name)
      _ = table.give(try #require(table.place(of: MemoryBench.key(name))), at: .at(0))
    }
    #expect(try table.insert("d.test") == "a.test")
  }

  @Test("questions of one hash are told apart by name, type and agent, and survive each other's end")
  func collisions() throws {
    var table = AnswerTable(capacity: 8)
    let keys = try ["a.test", "b.test"].flatMap { name in
      try [DNSRecordType.a, .aaaa].flatMap { type in
        try [AgentNumber(0), 1].map { try MemoryBench.key(name, $0, type, hash: 5) }
      }
    }
    for (mark, key) in keys.enumerated() {
      let entry = AnswerTable.Entry(
        key, try MemoryBench.question("x.test"), MemoryBench.answered(UInt32(mark)),
        AnswerTable.Heard(isRecorded: true, told: .at(0)))
      #expect(table.insert(entry, at: .at(0)) == nil)
    }
    for gone in 0...keys.count {
      for (mark, key) in keys.enumerated() {
        let found = table.place(of: key).map { table.entries[$0].answered.verdict.address }
        #expect(found == (mark < gone ? nil : .v4(UInt32(mark))))
      }
      #expect(try table.insert("new\(gone).test", hash: 5) != nil)
    }
  }

  @Test(
    "a place is listened to once, however often it changes hands: what is told takes no longer and longer")
  func listening() throws {
    var table = AnswerTable(capacity: 4)
    for round in 0..<1000 {
      _ = try table.insert("n\(round).test")
      _ = table.give(try #require(table.place(of: MemoryBench.key("n\(round).test"))), at: .at(1))
      if round % 10 == 0 { #expect(table.tell(at: .at(1), after: .seconds(10)).isEmpty) }
    }
    #expect(table.listened <= 4)
    #expect(table.tell(at: .at(1), after: .zero).count == 4)
    #expect(table.listened == 0)
  }

  @Test("the hash of a question is never negative, and depends on all three")
  func hash() throws {
    var seen: Set<Int> = []
    for name in ["a.test", "b.test"] {
      for type in [DNSRecordType.a, .aaaa] {
        for agent in [AgentNumber(0), 1] {
          let hash = try MemoryBench.key(name, agent, type).hash
          #expect(hash >= 0)
          seen.insert(hash)
        }
      }
    }
    #expect(seen.count == 8)
  }
}
