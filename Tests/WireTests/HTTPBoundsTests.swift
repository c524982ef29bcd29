import Testing
import Wire

@Suite("Heads in pieces, too large, or damaged")
struct HTTPBoundsTests {
  static let valid: [String] =
    HTTPClientTests.clients.map(\.head) + [
      get("http://plain.test/a?b=c", host: "plain.test", "Accept: */*", "Cookie: a=b"),
      post("Content-Length: 5", "Expect: 100-continue"), post("Transfer-Encoding: chunked"), "\r\n" + post(),
    ]

  @Test(
    "DOS-01: a head in pieces is incomplete until its last byte, and then the same value", arguments: valid)
  func pieces(_ head: String) throws {
    let bytes = Array(head.utf8), whole = try #require(try RequestHead.parse(bytes[...]))
    for end in 0..<bytes.count {
      #expect(try RequestHead.parse(bytes[..<end], resumingAt: max(end - 1, 0)) == nil)
    }
    let last = try #require(try RequestHead.parse(bytes[...], resumingAt: bytes.count - 1))
    #expect(last.head == whole.head && last.length == whole.length)
  }

  @Test("A head in random pieces, with and without what follows it, is the same value")
  func randomPieces() throws {
    var random = SeededRandom(state: 21)
    for _ in 0..<1500 {
      let bytes = Array((Self.valid.randomElement(using: &random) ?? "").utf8)
      let whole = try #require(try RequestHead.parse(bytes[...]))
      let wire = [0xff] + bytes + Array("more".utf8)
      var seen = 0, found: (head: RequestHead, length: Int)?
      for cut in random.cuts(of: wire.count - 1) where found == nil {
        found = try RequestHead.parse(wire[1..<cut + 1], resumingAt: seen)
        seen = cut
      }
      #expect(found?.head == whole.head && found?.length == whole.length)
    }
  }

  @Test("HTTP-12: sizes have limits well below 64 KiB, and are refused while they still come in")
  func limits() throws {
    func fill(_ byte: Character, _ count: Int) -> String { String(repeating: byte, count: count) }
    let line = "GET http://plain.test/", host = "Host: plain.test\r\n"
    #expect(refusal(line + fill("a", 65600) + "@evil.test HTTP/1.1\r\n" + host + "\r\n") == .targetTooLong)
    #expect(refusal("GET http://" + fill("a", 65536)) == .targetTooLong)
    #expect(refusal("CONNECT " + fill("a", 9000)) == .targetTooLong)
    let start = "\(line) HTTP/1.1\r\n\(host)"
    for size in [16384, 65535, 65536, 65537, 1 << 20] {
      #expect(refusal(start + "X: " + fill("x", size) + "\r\n\r\n") == .headTooLarge)
      #expect(refusal(start + "X: " + fill("x", size)) == .headTooLarge)
    }
    #expect(refusal(start + fill("n", 270) + ": x\r\n\r\n") == nil)
    #expect(RequestError.headTooLarge.status == 431 && RequestError.targetTooLong.status == 414)
  }

  @Test("DOS-02: the number of fields is bounded, and the answer comes before they all do")
  func fieldCount() {
    let start = "GET http://plain.test/ HTTP/1.1\r\nHost: plain.test\r\n"
    #expect(refusal(start + String(repeating: "A: b\r\n", count: 200_000)) == .headTooLarge)
    #expect(refusal(start + String(repeating: "A: b\r\n", count: 4000)) == .headTooLarge)
    #expect(refusal(start + String(repeating: "A: b\r\n", count: 127) + "\r\n") == nil)
    #expect(refusal(start + String(repeating: "A: b\r\n", count: 128) + "\r\n") == .headTooLarge)
  }

  @Test("The limits are exact")
  func exactLimits() throws {
    let path = { (count: Int) in get("http://plain.test/" + String(repeating: "a", count: count)) }
    let longest = 8192 - "GET http://plain.test/ HTTP/1.1".utf8.count
    #expect(refusal(path(longest)) == nil && refusal(path(longest + 1)) == .targetTooLong)
    let head = { (count: Int) in get("http://plain.test/", "X: " + String(repeating: "a", count: count)) }
    let room = 16384 - head(0).utf8.count
    #expect(outcome(head(room))?.isSuccess == true && refusal(head(room + 1)) == .headTooLarge)
  }

  @Test("DOS-01: bytes that can start no request are refused at the first of them")
  func firstByte() {
    for first: [UInt8] in [[0x16, 3, 1], [0], [0x80], [0x20], [5, 1, 0], [4, 1]] {
      #expect(outcome(first) != nil)
    }
    #expect(outcome([]) == nil && outcome([0x0d]) == nil && outcome([0x0d, 0x0a]) == nil)
    #expect(refusal("GET / HTTP/1.1\r\n") == .target, "the line is judged before the fields come in")
  }

  @Test("A wrong resumption point can hide the end, but traps nothing and lets nothing through")
  func wrongResumption() {
    let bytes = Array("\nGET\n\n\r\n\r\n".utf8)
    for seen in [-5, 0, 3, 100, Int.max] { _ = try? RequestHead.parse(bytes[...], resumingAt: seen) }
    let split = Array("GET http://plain.test/ HTTP/1.1\nHost: plain.test\r\n\r\n".utf8)
    #expect(throws: RequestError.lineEnd) { try RequestHead.parse(split[...], resumingAt: 40) }
  }

  @Test("DOS-07: damaged heads trap nothing; what is taken has no CR, LF or NUL in a value")
  func damaged() {
    var random = SeededRandom(state: 22)
    for _ in 0..<6000 {
      let bytes = random.mutate(Array((Self.valid.randomElement(using: &random) ?? "").utf8))
      guard case .success(let head)? = outcome(bytes) else { continue }
      #expect(
        head.fields.allSatisfy { !$0.name.isEmpty && !$0.value.contains { $0 == 0 || $0 == 10 || $0 == 13 } })
      _ = head.upstreamBytes(upgrade: true)
      _ = head.proxyAuthorization
      try? head.checkHost(gate: HTTPClientTests.gate)
    }
  }

  @Test("DOS-07: damaged responses trap nothing")
  func damagedResponses() {
    var random = SeededRandom(state: 23)
    let seeds = HTTPResponseTests.framed.map { Array($0.head.utf8) }
    for _ in 0..<4000 {
      let bytes = random.mutate(seeds.randomElement(using: &random) ?? [])
      guard let head = try? ResponseHead.parse(bytes[...], requestMethod: "GET")?.head else { continue }
      #expect(!head.downstreamBytes(framing: head.framing, keepAlive: true).isEmpty)
    }
  }

  @Test("Fields keep their order, are found without case, and repeat")
  func fields() throws {
    let head = try accepted(get("http://plain.test/", "A: 1", "b:\t2 \t", "a: ", "B: x y"))
    #expect(head.fields.map(\.name) == ["host", "a", "b", "a", "b"])
    #expect(head.fields.values(of: "B").map(text) == ["2", "x y"] && head.fields.values(of: "c").isEmpty)
    #expect(head.fields.values(of: "A").map(text) == ["1", ""])
  }

  @Test("HTTP-11: a name is a token, and no byte else may stand in it")
  func tokens() {
    let token = Set("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ".utf8)
    for byte in UInt8.min...UInt8.max {
      let head =
        Array("GET http://plain.test/ HTTP/1.1\r\nHost: plain.test\r\nx".utf8) + [byte]
        + Array("y: z\r\n\r\n".utf8)
      #expect(outcome(head)?.isSuccess == (token.contains(byte) || byte == UInt8(ascii: ":")), "\(byte)")
    }
  }

  @Test("Every refusal has a word and a status of its class")
  func errors() {
    #expect(Set(RequestError.allCases.map(\.token)).count == RequestError.allCases.count)
    #expect(RequestError.allCases.allSatisfy { [400, 405, 414, 417, 431, 501, 505].contains($0.status) })
    #expect(Set(ResponseError.allCases.map(\.token)).count == ResponseError.allCases.count)
  }
}
