import Control
import Testing

@testable import Webhook

/// Which answers are the far side's, and what they say.
@Suite("Answers to a webhook")
struct CallbackTests {
  private static let secret = WebhookSecret(Array("0123456789abcdef".utf8))
  private static let body = Array(
    #"{"id":"a","decision":"allow","for":"once","by":"alice","digest":"d","generation":1}"#.utf8)
  private static let nonce = "abcdefghijklmnop-_ZZ09"

  private func question(
    time: String = "1000", nonce: String = nonce, signed: String? = nil, body: [UInt8] = body
  ) throws -> CallbackJudge.Question {
    let secret = try #require(Self.secret)
    let signature = "v1=" + secret.signature(of: signed ?? "\(time).\(nonce).", body)
    return CallbackJudge.Question(
      times: [Array(time.utf8)], nonces: [Array(nonce.utf8)], signatures: [Array(signature.utf8)], body: body)
  }

  private func refusal(
    _ judge: inout CallbackJudge, _ question: CallbackJudge.Question, at now: Int64
  ) -> CallbackJudge.Refusal? {
    do throws(CallbackJudge.Refusal) {
      try judge.admit(question, at: now)
      return nil
    } catch { return error }
  }

  @Test("a signature is HMAC-SHA256, as anybody computes it")
  func known() throws {
    // RFC 4231 §4.2, test case 1, in two pieces.
    let secret = try #require(WebhookSecret([UInt8](repeating: 0x0b, count: 20)))
    let expected = "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"
    #expect(secret.signature(of: "Hi ", Array("There".utf8)) == expected)
    #expect(secret.isSigned("Hi ", Array("There".utf8), by: Array(expected.utf8)))
    #expect(!secret.isSigned("Hi ", Array("There".utf8), by: Array(expected.utf8.dropLast())))
    #expect(!secret.isSigned("Hi ", Array("there".utf8), by: Array(expected.utf8)))
  }

  @Test("CTL-03: what is signed passes once, within five minutes")
  func window() throws {
    let secret = try #require(Self.secret)
    for (now, wanted) in [
      (1000, nil), (1300, nil), (700, nil), (1301, .stale), (699, .stale),
    ] as [(Int64, CallbackJudge.Refusal?)] {
      var judge = CallbackJudge(secret)
      #expect(refusal(&judge, try question(), at: now) == wanted)
      guard wanted == nil else { continue }
      for later in [now, min(now + 100, 1300), 1300] {
        #expect(refusal(&judge, try question(), at: later) == .replayed)
      }
      #expect(refusal(&judge, try question(), at: 1301) == .stale, "when it is forgotten, it is too old")
    }
  }

  @Test("CTL-03: what is not signed, signed otherwise or for something else does not pass")
  func forged() throws {
    var judge = CallbackJudge(try #require(Self.secret))
    let right = try question()
    func spoiled(_ spoil: (inout CallbackJudge.Question) -> Void) -> CallbackJudge.Question {
      var copy = right
      spoil(&copy)
      return copy
    }
    for (question, wanted) in [
      (spoiled { $0.body += [0x20] }, .forged), (spoiled { $0.time = Array("1001".utf8) }, .forged),
      (spoiled { $0.nonce = Array(repeating: 0x61, count: 22) }, .forged),
      (spoiled { $0.signature = nil }, .unsigned),
      (spoiled { $0.nonce = nil }, .unsigned), (spoiled { $0.time = nil }, .unsigned),
      (spoiled { $0.signature?.removeFirst(3) }, .unsigned),
      (spoiled { $0.signature?.removeLast() }, .forged),
      (try self.question(signed: "1000."), .forged), (try self.question(nonce: "short"), .unsigned),
      (try self.question(nonce: "abcdefghijklmnop."), .unsigned),
      (try self.question(time: "01000"), .unsigned),
      (try self.question(time: "-5"), .unsigned), (try self.question(time: "9999999999999"), .unsigned),
    ] as [(CallbackJudge.Question, CallbackJudge.Refusal)] {
      #expect(refusal(&judge, question, at: 1000) == wanted)
    }
    #expect(refusal(&judge, right, at: 1000) == nil, "the control: none of them used up the nonce")
    let twice = CallbackJudge.Question(times: [[0x31], [0x31]], nonces: [], signatures: [], body: [])
    #expect(twice.time == nil)
  }

  @Test("what is remembered has a bound, and room again once its time is over")
  func remembered() throws {
    var judge = CallbackJudge(try #require(Self.secret))
    for number in 0..<4096 {
      let nonce = "nonce-number-\(10_000 + number)"
      #expect(refusal(&judge, try question(nonce: nonce), at: 1000) == nil)
    }
    #expect(refusal(&judge, try question(), at: 1000) == .busy)
    #expect(refusal(&judge, try question(time: "1301"), at: 1301) == nil)
  }

  @Test("an answer is exactly the known fields")
  func answers() throws {
    let plain = try #require(CallbackAnswer(Self.body))
    #expect(plain.isAllowing && plain.name == "alice")
    #expect(plain.order == AnswerOrder(id: "a", generation: 1, digest: "d", scope: "once"))
    for (span, seconds) in [("90s", 90), ("30m", 1800), ("8h", 28_800), ("7d", 604_800)] as [(String, Int64)]
    {
      let text = String(decoding: Self.body, as: UTF8.self).replacing("\"once\"", with: "\"\(span)\"")
      #expect(CallbackAnswer(Array(text.utf8))?.order.seconds == seconds)
    }
    for (old, new) in [
      ("\"once\"", "\"ever\""), ("\"once\"", "\"0s\""), ("\"once\"", "\"h\""), ("\"once\"", "\"+1h\""),
      ("\"allow\"", "\"Allow\""), (":1}", ":-1}"), (":1}", ":1.5}"), (":1}", ":1,\"more\":2}"),
      ("\"alice\"", "\"\""), ("\"by\":\"alice\",", ""), (":1}", ":1,\"note\":7}"),
      (":1}", ":1,\"id\":\"b\"}"),
    ] {
      let text = String(decoding: Self.body, as: UTF8.self).replacing(old, with: new)
      #expect(CallbackAnswer(Array(text.utf8)) == nil, "\(text)")
    }
  }

  @Test(
    "addresses of webhooks",
    arguments: [
      ("https://hooks.example.com", "/"), ("https://hooks.example.com/a/b?c=d", "/a/b?c=d"),
      ("http://127.0.0.1:8080/x", "/x"), ("https://h.example.com?x", "/?x"), ("unix:/run/hook.sock", "/"),
      ("https://[::1]:8443/x", "/x"),
    ])
  func targets(_ text: String, _ path: String) throws {
    #expect(try WebhookTarget(text).path == path)
    #expect(try WebhookTarget(text).isSecure == text.hasPrefix("https"))
  }

  @Test(
    "what is no address of a webhook",
    arguments: [
      "", "hooks.example.com", "ftp://x/y", "https://", "https:///x", "https://user@x.test/",
      "https://x.test/#a",
      "https://x.test/\r\nHost: y", "https://x.test/a b", "https://x.test:0/", "unix:relative",
    ])
  func noTargets(_ text: String) {
    #expect(throws: WebhookTargetError.self) { try WebhookTarget(text) }
  }
}
