import Testing

@testable import Gateway

@Suite("Queries in flight on one connection")
struct QueryPipeTests {
  /// A message with this id.
  static func message(_ id: UInt16, _ rest: [UInt8] = [0xaa]) -> [UInt8] {
    [UInt8(id >> 8), UInt8(id & 0xff)] + rest
  }

  /// The same behind its length.
  static func framed(_ message: [UInt8]) -> [UInt8] {
    [UInt8(message.count >> 8), UInt8(message.count & 0xff)] + message
  }

  @Test("two queries with one id are told apart, and each answer has its query's id again")
  func sameID() throws {
    var pipe = QueryPipe<String>()
    let first = try pipe.added(Self.message(7, [1]), for: "first")
    let second = try pipe.added(Self.message(7, [2]), for: "second")
    #expect(first.number != second.number)
    #expect(first.message == Self.framed(Self.message(first.number, [1])))
    let answers = pipe.receive(
      Self.framed(Self.message(second.number, [22])) + Self.framed(Self.message(first.number, [11])))
    #expect(answers.map(\.owner) == ["second", "first"])
    #expect(answers.map(\.message) == [Self.message(7, [22]), Self.message(7, [11])])
    #expect(pipe.isEmpty)
  }

  @Test("a message may come byte by byte, or many at once")
  func pieces() throws {
    var pipe = QueryPipe<Int>()
    let numbers = try (0..<3).map { try pipe.added(Self.message(1), for: $0).number }
    let bytes = numbers.flatMap { Self.framed(Self.message($0, Array(repeating: 9, count: 300))) }
    var owners: [Int] = []
    for byte in bytes { owners += pipe.receive([byte]).map(\.owner) }
    #expect(owners == [0, 1, 2])
  }

  @Test("what nobody waits for is dropped: strange ids, second answers, answers to who has gone, empty ones")
  func strangers() throws {
    var pipe = QueryPipe<String>()
    let gone = try pipe.added(Self.message(1), for: "gone")
    let here = try pipe.added(Self.message(2), for: "here")
    pipe.remove(gone.number)
    let answer = Self.framed(Self.message(here.number))
    let bytes =
      [0, 0, 0, 1, 0xff] + Self.framed(Self.message(gone.number)) + Self.framed(Self.message(999)) + answer
      + answer
    let answers = pipe.receive(bytes)
    #expect(answers.map(\.owner) == ["here"])
    #expect(pipe.isEmpty)
  }

  @Test("an id is not given again before 65,535 others were, nor while its query is in flight")
  func fresh() throws {
    var pipe = QueryPipe<Int>()
    let first = try pipe.added(Self.message(0), for: 0).number
    var seen: Set<UInt16> = [first]
    for _ in 1...65_535 {
      let number = try pipe.added(Self.message(0), for: 1).number
      seen.insert(number)
      pipe.remove(number)
    }
    #expect(seen.count == 65_536)
    let again = try pipe.added(Self.message(0), for: 2).number
    #expect(again != first)
  }

  @Test("there is room for what all lookups of a loop ask, and no more")
  func room() {
    var pipe = QueryPipe<Int>()
    let numbers = (0..<513).map { pipe.add(Self.message(0), for: $0)?.number }
    #expect(numbers.count { $0 != nil } == 512)
    #expect(numbers[512] == nil)
    let left = pipe.removeAll()
    #expect(left.sorted() == Array(0..<512))
    let next = pipe.add(Self.message(0), for: 0), short = pipe.add([1], for: 0)
    #expect(next != nil)
    #expect(short == nil, "no message has one byte")
  }
}

extension QueryPipe {
  /// Adds a query for which there must be room.
  fileprivate mutating func added(
    _ query: [UInt8], for owner: Owner
  ) throws -> (number: UInt16, message: [UInt8]) {
    let added = add(query, for: owner)
    return try #require(added)
  }
}
