import Testing
import Wire

@Suite("Chunked bodies")
struct HTTPChunkedTests {
  /// The body, what is left behind it, and whether the end was reached.
  static func decode(_ wire: [UInt8], cuts: [Int]? = nil) throws(ChunkError) -> (
    body: [UInt8], rest: Int, done: Bool
  ) {
    var decoder = ChunkedDecoder(), body: [UInt8] = [], used = 0, start = 0
    for cut in cuts ?? [wire.count] {
      var input = wire[start..<cut]
      try decoder.decode(&input, into: &body)
      used += cut - start - input.count
      start = cut
    }
    return (body, wire.count - used, decoder.isFinished)
  }

  @Test("HTTP-08: chunks, extensions and trailers that are taken")
  func controls() throws {
    for (wire, body) in [
      ("5\r\nhello\r\n0\r\n\r\n", "hello"), ("A\r\n0123456789\r\n00\r\n\r\n", "0123456789"),
      ("5;a=b;c=\"d\"\r\nhello\r\n0;x\r\nX: y\r\nZ: \r\n\r\n", "hello"), ("0\r\n\r\n", ""),
      ("0000000000000001\r\nx\r\n0\r\n\r\n", "x"),
    ] {
      let result = try Self.decode(Array((wire + "NEXT").utf8))
      #expect(text(result.body) == body && result.done && result.rest == 4, "\(wire)")
    }
  }

  static let refused: [(String, ChunkError)] = [
    ("5\nhello\r\n0\r\n\r\n", .lineEnd), ("5;a=b\nhello\r\n0\r\n\r\n", .lineEnd), ("0x5\r\nhello", .size),
    ("-5\r\n", .size), ("+5\r\n", .size), (" 5\r\n", .size), ("\r\n", .size), (";a\r\n", .size),
    ("g\r\n", .size),
    ("FFFFFFFFFFFFFFFF5\r\n", .size), ("FFFFFFFFFFFFFFFF\r\n", .size), ("8000000000000000\r\n", .size),
    ("00000000000000005\r\n", .size), ("5\r\nhelloX\r\n0\r\n\r\n", .lineEnd),
    ("5\r\nhello\n0\r\n\r\n", .lineEnd),
    ("5 \r\nhello\r\n0\r\n\r\n", .size), ("5\rhello", .lineEnd), ("5;\0\r\n", .content),
    ("5;a\rb\r\n", .lineEnd),
    ("0\r\nX: a\nb\r\n\r\n", .lineEnd), ("0\r\n folded\r\n\r\n", .content),
    ("0\r\nX: \u{1}\r\n\r\n", .content),
    ("0\r\nX: a\r\n\rb", .lineEnd), ("5;" + String(repeating: "x", count: 5000), .tooLarge),
    (String(repeating: "1;" + String(repeating: "e", count: 200) + "\r\nx\r\n", count: 30), .tooLarge),
    ("0\r\n" + String(repeating: "X: y\r\n", count: 2000), .tooLarge),
  ]

  @Test("HTTP-08: chunk grammar that hops read differently", arguments: refused)
  func refuse(_ wire: String, _ error: ChunkError) {
    #expect(throws: error) { try Self.decode(Array(wire.utf8)) }
  }

  @Test("HTTP-08: trailers cannot carry framing or routing on: they are dropped")
  func trailers() throws {
    let wire = Array("0\r\nContent-Length: 9\r\nHost: evil.test\r\n\r\n".utf8)
    #expect(try Self.decode(wire).body.isEmpty)
  }

  @Test("DOS-07: the largest chunk is announced, not reserved")
  func largest() throws {
    let result = try Self.decode(Array("7fffffffffffffff\r\nabc".utf8))
    #expect(text(result.body) == "abc" && !result.done)
  }

  @Test("Random bodies in random chunks and random segments come out as they went in")
  func roundTrip() throws {
    var random = SeededRandom(state: 11)
    for _ in 0..<300 {
      let body = (0..<Int.random(in: 0...300, using: &random)).map { _ in
        UInt8.random(in: 0...255, using: &random)
      }
      var wire: [UInt8] = [], start = 0
      for cut in random.cuts(of: body.count) {
        ChunkedEncoder.frame(body[start..<cut], into: &wire)
        start = cut
      }
      wire += ChunkedEncoder.end
      let result = try Self.decode(wire, cuts: random.cuts(of: wire.count))
      #expect(result.body == body && result.done && result.rest == 0)
    }
  }

  /// Takes a whole body apart the obvious way; nil where it is not well-formed
  /// or not complete. Knows neither extensions nor trailers.
  static func naive(_ wire: [UInt8]) -> [UInt8]? {
    var rest = wire[...], body: [UInt8] = []
    while true {
      guard let end = rest.firstIndex(of: 13), rest.distance(from: rest.startIndex, to: end) <= 16,
        rest.dropFirst(rest.distance(from: rest.startIndex, to: end) + 1).first == 10,
        rest[..<end].allSatisfy({
          UInt8(ascii: "0")...UInt8(ascii: "9") ~= $0 || Array("abcdefABCDEF".utf8).contains($0)
        }),
        let size = Int(text(rest[..<end]), radix: 16)
      else { return nil }
      rest = rest[(end + 2)...]
      guard size <= rest.count - 2 else { return nil }
      body += rest.prefix(size)
      rest = rest.dropFirst(size)
      guard rest.starts(with: [13, 10]) else { return nil }
      rest = rest.dropFirst(2)
      if size == 0 { return body }
    }
  }

  @Test("Mutated bodies: the decoder agrees with a naive twin, however they are split")
  func twin() {
    var random = SeededRandom(state: 12)
    let seed = Array("5\r\nhello\r\nb\r\nhello world\r\n0\r\n\r\n".utf8)
    for _ in 0..<4000 {
      let wire = random.mutate(seed).filter { $0 != UInt8(ascii: ";") }
      let whole = try? Self.decode(wire), split = try? Self.decode(wire, cuts: random.cuts(of: wire.count))
      #expect(whole?.body == split?.body && whole?.done == split?.done)
      if let expected = Self.naive(wire) {
        #expect(whole?.done == true && whole?.body == expected, "\(text(wire).debugDescription)")
      }
      if whole?.done == true, Self.naive(wire) == nil {
        #expect(text(wire).contains("0\r\n"), "a body with trailers")
      }
    }
  }
}
