import Testing
import Wire

@testable import Gateway

@Suite("A body from one framing to another")
struct BodyTransferTests {
  /// A body of `size` bytes as `framing` carries it.
  static func framed(_ body: [UInt8], _ framing: BodyFraming, by random: inout SeededStory) -> [UInt8] {
    guard framing == .chunked else { return body }
    var bytes: [UInt8] = [], rest = body[...]
    while !rest.isEmpty {
      let part = rest.prefix(Int.random(in: 1...40, using: &random))
      ChunkedEncoder.frame(part, into: &bytes)
      rest = rest.dropFirst(part.count)
    }
    return bytes + ChunkedEncoder.end
  }

  /// What a receiver makes of it.
  static func received(_ bytes: [UInt8], _ framing: BodyFraming) throws -> (body: [UInt8], isWhole: Bool) {
    guard framing == .chunked else { return (bytes, true) }
    var decoder = ChunkedDecoder(), input = bytes[...], body: [UInt8] = []
    try decoder.decode(&input, into: &body)
    return (body, decoder.isFinished && input.isEmpty)
  }

  static let pairs: [(BodyFraming, BodyFraming)] = [
    (.length(0), .length(0)), (.length(200), .length(200)), (.length(200), .untilClose), (.chunked, .chunked),
    (.chunked, .untilClose), (.untilClose, .chunked), (.untilClose, .untilClose), (.none, .none),
  ]
  @Test("However it is cut, the body arrives whole, and what is behind it stays behind", arguments: pairs)
  func property(_ source: BodyFraming, _ target: BodyFraming) throws {
    var random = SeededStory(seed: 20_261_124)
    for _ in 0..<200 {
      let size = source == .none ? 0 : source == .length(0) ? 0 : 200
      let body = (0..<size).map { _ in UInt8.random(in: 0...255, using: &random) }
      let behind = source == .untilClose ? [] : Array("GET http://b.test/".utf8)
      var wire = (Self.framed(body, source, by: &random) + behind)[...]
      var transfer = BodyTransfer(from: source, to: target), output: [UInt8] = [], held: [UInt8] = []
      while !wire.isEmpty {
        let piece = wire.prefix(Int.random(in: 1...60, using: &random))
        wire = wire.dropFirst(piece.count)
        var input = piece
        try transfer.transfer(&input, into: &output)
        if transfer.isFinished { held += input } else { #expect(input.isEmpty) }
      }
      let isWhole = transfer.end(into: &output)
      let seen = try Self.received(output, target)
      #expect(isWhole && transfer.isFinished && seen.body == body && seen.isWhole && held == behind)
    }
  }

  static let cut: [(BodyFraming, [UInt8])] = [
    (.length(5), Array("abc".utf8)), (.chunked, Array("5\r\nabc".utf8)),
    (.chunked, Array("3\r\nabc\r\n".utf8)),
    (.length(UInt64(Int64.max)), Array("abc".utf8)),
  ]
  @Test("A body that ends too soon is not whole, and gets no end made up", arguments: cut)
  func torn(_ source: BodyFraming, _ bytes: [UInt8]) throws {
    var transfer = BodyTransfer(from: source, to: .chunked), output: [UInt8] = [], input = bytes[...]
    try transfer.transfer(&input, into: &output)
    #expect(!transfer.end(into: &output) && !transfer.isFinished)
    #expect(!output.suffix(5).elementsEqual(ChunkedEncoder.end))
  }
}

/// A generator that tells the same story each time (SplitMix64).
struct SeededStory: RandomNumberGenerator {
  private var state: UInt64

  init(seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var mixed = state
    mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
    return mixed ^ (mixed >> 31)
  }
}
