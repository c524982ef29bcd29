import Addressing

/// Who may see the page, and who may change something by it.
///
/// A one-time token is exchanged for a session and then dead. A session is a
/// cookie that no other site's requests carry; what changes anything needs, on
/// top, the session's own token and the browser's word that the page itself
/// asks. The token comes in a header that no form can set, with JSON; where the
/// page has forms, in a field of the form. No sockets and no clock: time is an
/// argument.
struct Access: Sendable {
  /// How long the one-time token waits to be used.
  static let tokenLife: Duration = .seconds(600)
  /// How long a session lasts without being used.
  static let sessionLife: Duration = .seconds(12 * 3600)
  /// Sessions at once; the one that was used longest ago makes room.
  static let maximumSessions = 8

  /// One browser that was let in.
  struct Session: Hashable, Sendable {
    let id = Secret()
    /// What must come with whatever changes something.
    let token = Secret()
    fileprivate var usedAt: Duration
  }

  /// What becomes of a request.
  enum Verdict: Hashable, Sendable {
    /// It goes on, as this session's.
    case granted(Session)
    /// The one-time token was right: the browser gets this session.
    case exchanged(Session)
    /// 403, and why.
    case refused(Why)
  }

  /// Why a request is refused.
  enum Why: String, Hashable, Sendable {
    case upgrade = "no other protocol is spoken here"
    case origin = "another site asks"
    case fetchSite = "the browser says that another site asks"
    case token =
      "the one-time address was used, has run out or is wrong; start exitgate review again for another"
    case session = "open the address that exitgate review printed"
    case method = "only GET, HEAD and POST are answered"
    case contentType = "what changes something comes as application/json"
    case unproved = "what changes something carries the page's own token, origin and Sec-Fetch-Site"
  }

  /// What of a request counts here; a field that came twice is nil, and so is one that did not come.
  struct Question: Sendable {
    var method: String
    /// The token in the address, if it is one.
    var oneTime: String?
    var isUpgrade = false
    var cookies: [[UInt8]] = []
    var origins: [[UInt8]] = []
    var fetchSites: [[UInt8]] = []
    var contentTypes: [[UInt8]] = []
    var tokens: [[UInt8]] = []
    /// The token in the body, where the page has a form for this; nil everywhere else.
    var formToken: String?
    /// Whether the browser only looks ahead.
    var isPrefetch = false
    /// Whether an open page only says that its script runs, which is no use of it.
    var isSignOfLife = false
  }

  /// The name of the cookie, another one for each port, since cookies know none.
  let cookieName: String
  private let origins: Set<String>
  private var oneTime: Secret?
  private var oneTimeUntil: Duration
  private var sessions: [Session] = []

  /// - Parameters:
  ///   - origins: The page's own, as `http://127.0.0.1:8080`.
  ///   - now: On a clock that only goes forward.
  init(origins: Set<String>, port: Port, at now: Duration) {
    self.origins = origins
    cookieName = "exitgate-review-\(port.number)"
    oneTimeUntil = now
  }

  /// Makes a new one-time token; the one before is dead.
  mutating func newToken(at now: Duration) -> String {
    let token = Secret()
    oneTime = token
    oneTimeUntil = now + Self.tokenLife
    return token.text
  }

  /// Which sessions there are.
  mutating func live(at now: Duration) -> Set<Secret> {
    sessions.removeAll { now - $0.usedAt >= Self.sessionLife }
    return Set(sessions.map(\.id))
  }

  /// Judges a request.
  mutating func judge(_ question: Question, at now: Duration) -> Verdict {
    if question.isUpgrade { return .refused(.upgrade) }
    guard question.origins.allSatisfy(isOwn) else { return .refused(.origin) }
    let sites: Set = question.method == "POST" ? ["same-origin"] : ["same-origin", "none"]
    guard question.fetchSites.allSatisfy({ sites.contains(String(decoding: $0, as: UTF8.self)) }) else {
      return .refused(.fetchSite)
    }
    switch question.method {
    case "GET" where question.oneTime != nil: return exchange(question, at: now)
    case "GET", "HEAD": return session(of: question, at: now)
    case "POST": return change(question, at: now)
    default: return .refused(.method)
    }
  }

  private func isOwn(_ origin: [UInt8]) -> Bool {
    origins.contains { $0.utf8.elementsEqual(origin) }
  }

  private mutating func exchange(_ question: Question, at now: Duration) -> Verdict {
    guard let oneTime, now < oneTimeUntil, !question.isPrefetch,
      oneTime.isKnown(as: (question.oneTime ?? "").utf8)
    else {
      // Who is in already may come by the old address again; it gives nothing new.
      if case .granted(let session) = session(of: question, at: now) { return .granted(session) }
      return .refused(.token)
    }
    self.oneTime = nil
    let session = Session(usedAt: now)
    if sessions.count >= Self.maximumSessions,
      let oldest = sessions.indices.min(by: {
        sessions[$0].usedAt < sessions[$1].usedAt
      })
    {
      sessions.remove(at: oldest)
    }
    sessions.append(session)
    return .exchanged(session)
  }

  private mutating func session(of question: Question, at now: Duration) -> Verdict {
    sessions.removeAll { now - $0.usedAt >= Self.sessionLife }
    let values = question.cookies.flatMap { cookieValues($0, named: cookieName) }
    // A cookie that stands there twice was put there by somebody else.
    guard values.count == 1, let place = sessions.firstIndex(where: { $0.id.isKnown(as: values[0]) }) else {
      return .refused(.session)
    }
    if !question.isSignOfLife { sessions[place].usedAt = now }
    return .granted(sessions[place])
  }

  private mutating func change(_ question: Question, at now: Duration) -> Verdict {
    guard case .granted(let session) = session(of: question, at: now) else { return .refused(.session) }
    guard let proof = proof(in: question) else { return .refused(.contentType) }
    guard question.origins.count == 1, question.fetchSites.count == 1, proof.count == 1,
      session.token.isKnown(as: proof[0])
    else { return .refused(.unproved) }
    return .granted(session)
  }

  /// What stands where the token has to; nil for a body that is neither JSON nor a form of the page's.
  private func proof(in question: Question) -> [[UInt8]]? {
    guard question.contentTypes.count == 1 else { return nil }
    if question.contentTypes[0].elementsEqual("application/json".utf8) { return question.tokens }
    guard question.contentTypes[0].elementsEqual(FormFields.mediaType.utf8) else { return nil }
    return question.formToken.map { question.tokens + [Array($0.utf8)] }
  }
}

/// - Source: RFC 6265 §4.2.1.
private func cookieValues(_ field: [UInt8], named name: String) -> [ArraySlice<UInt8>] {
  field.split(separator: UInt8(ascii: ";")).compactMap { pair in
    let pair = pair.drop { $0 == 0x20 }
    guard pair.starts(with: name.utf8), pair.dropFirst(name.utf8.count).first == UInt8(ascii: "=") else {
      return nil
    }
    return pair.dropFirst(name.utf8.count + 1)
  }
}
