import Addressing
import Testing

@testable import Wire

/// Random numbers that are the same in every run (SplitMix64).
struct SeededRandom: RandomNumberGenerator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var mixed = state
    mixed = (mixed ^ mixed >> 30) &* 0xbf58_476d_1ce4_e5b9
    mixed = (mixed ^ mixed >> 27) &* 0x94d0_49bb_1331_11eb
    return mixed ^ mixed >> 31
  }

  /// `bytes` with one to four bytes changed, left out, put in or doubled.
  mutating func mutate(_ bytes: [UInt8]) -> [UInt8] {
    var result = bytes
    for _ in 0..<Int.random(in: 1...4, using: &self) {
      let place = Int.random(in: 0...max(result.count - 1, 0), using: &self)
      switch (UInt8.random(in: 0...4, using: &self), result.isEmpty) {
      case (_, true): result.append(UInt8.random(in: 0...255, using: &self))
      case (0, _): result[place] = UInt8.random(in: 0...255, using: &self)
      case (1, _): result[place] ^= 1 << UInt8.random(in: 0...7, using: &self)
      case (2, _): result.remove(at: place)
      case (3, _): result.insert(Self.telling.randomElement(using: &self) ?? 0, at: place)
      default: result.insert(contentsOf: result[place...].prefix(8), at: place)
      }
    }
    return result
  }

  private static let telling = Array("\r\n :;,\0/@?#\t".utf8) + [0x7f, 0x80, 0xff]

  /// Where to cut `count` bytes into pieces: ascending, ends with `count`.
  mutating func cuts(of count: Int) -> [Int] {
    let places = (0..<Int.random(in: 0...6, using: &self)).map { _ in Int.random(in: 0...count, using: &self)
    }
    return places.sorted() + [count]
  }
}

/// A head as text, with an escape for what should become of it.
struct HeadCase: Sendable, CustomTestStringConvertible {
  var head: String
  var because: String

  init(_ head: String, _ because: String) {
    (self.head, self.because) = (head, because)
  }

  var testDescription: String { "\(head.debugDescription): \(because)" }
}

/// What the parser makes of a whole head: its value, or why it is refused; nil
/// when it waits for more.
func outcome(_ head: String) -> Result<RequestHead, RequestError>? {
  outcome(Array(head.utf8))
}

func outcome(_ head: [UInt8]) -> Result<RequestHead, RequestError>? {
  do { return try RequestHead.parse(head[...]).map { .success($0.head) } } catch { return .failure(error) }
}

func refusal(_ head: String) -> RequestError? {
  guard case .failure(let error)? = outcome(head) else { return nil }
  return error
}

func accepted(_ head: String) throws -> RequestHead {
  let parsed = try RequestHead.parse(Array(head.utf8)[...])
  return try #require(parsed).head
}

/// A CONNECT to `authority` with nothing else.
func connect(_ authority: String) -> String { "CONNECT \(authority) HTTP/1.1\r\n\r\n" }

/// A request for `target` with a Host of `host` and more lines.
func get(_ target: String, host: String = "plain.test", _ lines: String...) -> String {
  (["GET \(target) HTTP/1.1", "Host: \(host)"] + lines).joined(separator: "\r\n") + "\r\n\r\n"
}

/// A POST to plain.test with more lines.
func post(_ lines: String..., version: String = "1.1") -> String {
  (["POST http://plain.test/ HTTP/\(version)", "Host: plain.test"] + lines).joined(separator: "\r\n")
    + "\r\n\r\n"
}

func text(_ bytes: some Sequence<UInt8>) -> String { String(decoding: Array(bytes), as: UTF8.self) }
