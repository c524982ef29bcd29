import Addressing
import Testing

@testable import ReviewPage

/// Who is let in, and who may change something: without a socket and without a clock.
@Suite("Access to the review page")
struct AccessTests {
  private static let own = "http://127.0.0.1:8023"
  private static let start = Duration.seconds(1000)

  private func bench() throws -> (access: Access, token: String) {
    var access = Access(
      origins: [Self.own, "http://localhost:8023"], port: try #require(Port(8023)), at: Self.start)
    let token = access.newToken(at: Self.start)
    return (access, token)
  }

  private func opening(_ token: String) -> Access.Question {
    var question = Access.Question(method: "GET")
    question.oneTime = token
    return question
  }

  private func session(_ access: inout Access, _ token: String) throws -> Access.Session {
    guard case .exchanged(let session) = access.judge(opening(token), at: Self.start) else {
      throw NotLetIn()
    }
    return session
  }

  private struct NotLetIn: Error {}

  /// What the page's own script sends to change something.
  private func change(_ access: Access, _ session: Access.Session) -> Access.Question {
    var question = Access.Question(method: "POST")
    question.cookies = [Array("other=1; \(access.cookieName)=\(session.id.text)".utf8)]
    question.origins = [Array(Self.own.utf8)]
    question.fetchSites = [Array("same-origin".utf8)]
    question.contentTypes = [Array("application/json".utf8)]
    question.tokens = [Array(session.token.text.utf8)]
    return question
  }

  @Test("CTL-03: the one-time token lets one browser in, and is then dead")
  func once() throws {
    var (access, token) = try bench()
    _ = try session(&access, token)
    #expect(access.judge(opening(token), at: Self.start) == .refused(.token))
  }

  @Test("CTL-03: a wrong token opens nothing and does not use up the right one; nor does looking ahead")
  func wrongToken() throws {
    var (access, token) = try bench()
    for wrong in ["", "x", String(token.dropLast()), token + "0", String(repeating: "0", count: 64)] {
      #expect(access.judge(opening(wrong), at: Self.start) == .refused(.token))
    }
    var ahead = opening(token)
    ahead.isPrefetch = true
    #expect(access.judge(ahead, at: Self.start) == .refused(.token))
    _ = try session(&access, token)
  }

  @Test("a token runs out, and a new one kills the one before")
  func tokenLife() throws {
    var (access, token) = try bench()
    #expect(access.judge(opening(token), at: Self.start + Access.tokenLife) == .refused(.token))
    let next = access.newToken(at: Self.start)
    #expect(next != token)
    #expect(access.judge(opening(token), at: Self.start) == .refused(.token))
    _ = try session(&access, next)
  }

  @Test("whoever is in comes by the used address, too, and gets no further session")
  func again() throws {
    var (access, token) = try bench()
    let session = try session(&access, token)
    var question = opening(token)
    question.cookies = change(access, session).cookies
    guard case .granted(let same) = access.judge(question, at: Self.start) else {
      Issue.record("not let in again")
      return
    }
    #expect(same.id == session.id)
  }

  @Test("a session lasts while it is used, and there are no more than eight")
  func sessions() throws {
    var (access, token) = try bench()
    let first = try session(&access, token)
    var question = Access.Question(method: "GET")
    question.cookies = change(access, first).cookies
    let almost = Self.start + Access.sessionLife - .seconds(1)
    #expect(isGranted(access.judge(question, at: almost)))
    #expect(isGranted(access.judge(question, at: almost + .seconds(2))), "it was used since")
    for _ in 0..<Access.maximumSessions {
      #expect(
        isExchanged(
          access.judge(opening(access.newToken(at: almost + .seconds(3))), at: almost + .seconds(3))))
    }
    #expect(access.judge(question, at: almost + .seconds(4)) == .refused(.session), "it made room")
  }

  @Test("a session that is not used ends")
  func sessionLife() throws {
    var (access, token) = try bench()
    let session = try session(&access, token)
    let question = change(access, session)
    #expect(access.judge(question, at: Self.start + Access.sessionLife) == .refused(.session))
  }

  @Test("a page that only says that it is open does not keep its session alive")
  func signOfLife() throws {
    var (access, token) = try bench()
    let session = try session(&access, token)
    var sign = change(access, session)
    sign.isSignOfLife = true
    #expect(isGranted(access.judge(sign, at: Self.start + Access.sessionLife - .seconds(1))))
    #expect(access.judge(sign, at: Self.start + Access.sessionLife) == .refused(.session))
  }

  @Test("a cookie that stands there twice, or is another one, is none")
  func cookies() throws {
    var (access, token) = try bench()
    let session = try session(&access, token), name = access.cookieName
    for (cookie, isTaken) in [
      ("\(name)=\(session.id.text)", true), ("a=b;\(name)=\(session.id.text)", true),
      ("\(name)=\(session.id.text); \(name)=\(session.id.text)", false), ("\(name)=", false),
      ("x\(name)=\(session.id.text)", false), ("\(name)x=\(session.id.text)", false),
      ("\(name)=\(session.token.text)", false), ("exitgate-review-80=\(session.id.text)", false),
    ] {
      var question = Access.Question(method: "GET")
      question.cookies = [Array(cookie.utf8)]
      #expect(isGranted(access.judge(question, at: Self.start)) == isTaken, "\(cookie)")
    }
  }

  /// One way to spoil a right request, and what is then said.
  struct Spoil: Sendable, CustomTestStringConvertible {
    var why: Access.Why
    var testDescription: String
    var spoil: @Sendable (inout Access.Question) -> Void

    init(_ why: Access.Why, _ what: String, _ spoil: @escaping @Sendable (inout Access.Question) -> Void) {
      (self.why, testDescription, self.spoil) = (why, what, spoil)
    }
  }

  static let spoils = [
    Spoil(.origin, "a foreign origin") { $0.origins = [Array("http://evil.test".utf8)] },
    Spoil(.origin, "the origin null") { $0.origins = [Array("null".utf8)] },
    Spoil(.origin, "its own name by another port") { $0.origins = [Array("http://127.0.0.1:80".utf8)] },
    Spoil(.origin, "https") { $0.origins = [Array("https://127.0.0.1:8023".utf8)] },
    Spoil(.origin, "a prefix of it") { $0.origins = [Array("http://127.0.0.1:8023.evil.test".utf8)] },
    Spoil(.unproved, "no origin") { $0.origins = [] },
    Spoil(.unproved, "two origins") { $0.origins += $0.origins },
    Spoil(.fetchSite, "a cross-site request") { $0.fetchSites = [Array("cross-site".utf8)] },
    Spoil(.fetchSite, "a same-site request: another port of this machine") {
      $0.fetchSites = [Array("same-site".utf8)]
    },
    Spoil(.fetchSite, "an address that was typed") { $0.fetchSites = [Array("none".utf8)] },
    Spoil(.unproved, "no Sec-Fetch-Site") { $0.fetchSites = [] },
    Spoil(.contentType, "a form") { $0.contentTypes = [Array("application/x-www-form-urlencoded".utf8)] },
    Spoil(.contentType, "plain text") { $0.contentTypes = [Array("text/plain".utf8)] },
    Spoil(.contentType, "JSON with a parameter") {
      $0.contentTypes = [Array("application/json; charset=utf-8".utf8)]
    },
    Spoil(.contentType, "no type") { $0.contentTypes = [] },
    Spoil(.unproved, "no token") { $0.tokens = [] },
    Spoil(.unproved, "a wrong token") { $0.tokens = [[UInt8](repeating: 48, count: 64)] },
    Spoil(.session, "no cookie") { $0.cookies = [] },
    Spoil(.method, "PUT") { $0.method = "PUT" },
    Spoil(.method, "OPTIONS, as a preflight") { $0.method = "OPTIONS" },
    Spoil(.upgrade, "a wish for websocket") { $0.isUpgrade = true },
  ]

  @Test("CTL-04, CTL-06: what changes something is refused when anything is missing", arguments: spoils)
  func forged(_ spoil: Spoil) throws {
    var (access, token) = try bench()
    let session = try session(&access, token)
    var question = change(access, session)
    #expect(isGranted(access.judge(question, at: Self.start)), "the control")
    spoil.spoil(&question)
    #expect(access.judge(question, at: Self.start) == .refused(spoil.why))
  }

  @Test(
    "CTL-05, CTL-06: looking is refused to other sites, too", arguments: ["cross-site", "same-site", "x", ""])
  func looking(_ site: String) throws {
    var (access, token) = try bench()
    let session = try session(&access, token)
    var question = Access.Question(method: "GET")
    question.cookies = change(access, session).cookies
    question.fetchSites = [Array(site.utf8)]
    #expect(access.judge(question, at: Self.start) == .refused(.fetchSite))
    question.fetchSites = [Array("same-origin".utf8)]
    #expect(isGranted(access.judge(question, at: Self.start)))
    question.origins = [Array("http://evil.test".utf8)]
    #expect(access.judge(question, at: Self.start) == .refused(.origin))
  }

  @Test("secrets are 256 bits, and never the same")
  func secrets() {
    let all = Set((0..<100).map { _ in Secret() })
    #expect(all.count == 100)
    #expect(
      all.allSatisfy { $0.text.utf8.count == 64 && $0.text.utf8.allSatisfy("0123456789abcdef".utf8.contains) }
    )
  }

  @Test("CTL-04: a form of the page's own is taken where it has one, and only with everything else right")
  func forms() throws {
    var (access, token) = try bench()
    let session = try session(&access, token)
    var right = change(access, session)
    right.contentTypes = [Array(FormFields.mediaType.utf8)]
    (right.tokens, right.formToken) = ([], session.token.text)
    #expect(isGranted(access.judge(right, at: Self.start)), "the control")
    for (why, spoil) in [
      (.contentType, { $0.formToken = nil }), (.unproved, { $0.formToken = "" }),
      (.unproved, { $0.formToken = session.id.text }),
      (.unproved, { $0.tokens = [Array(session.token.text.utf8)] }),
      (.unproved, { $0.origins = [] }), (.origin, { $0.origins = [Array("null".utf8)] }),
      (.fetchSite, { $0.fetchSites = [Array("cross-site".utf8)] }), (.session, { $0.cookies = [] }),
      (.contentType, { $0.contentTypes = [Array("multipart/form-data".utf8)] }),
      (.contentType, { $0.contentTypes = [Array("text/plain".utf8)] }),
    ] as [(Access.Why, (inout Access.Question) -> Void)] {
      var question = right
      spoil(&question)
      #expect(access.judge(question, at: Self.start) == .refused(why))
    }
    // The token in the body is nothing where JSON has to come.
    var other = change(access, session)
    (other.tokens, other.formToken) = ([], session.token.text)
    #expect(access.judge(other, at: Self.start) == .refused(.unproved))
  }

  private func isGranted(_ verdict: Access.Verdict) -> Bool {
    if case .granted = verdict { true } else { false }
  }

  private func isExchanged(_ verdict: Access.Verdict) -> Bool {
    if case .exchanged = verdict { true } else { false }
  }
}
