import Addressing
import Dispatch
import EventLoop
import Pages
import Synchronization

/// The review page: a small server on a loopback address, for the one who holds its one-time address.
public final class ReviewServer: Sendable {
  /// In bytes; what is sent to change something is a rule and the names of its group.
  static let bodyLimit = 16 * 1024

  private let server: PageServer
  private let endpoint: Endpoint
  private let access: Mutex<Access>
  /// The first part of every path. Cookies know no ports: under a path that nobody can guess, no other
  /// server of this machine is sent this one's.
  private let base: String
  private let router: Router
  private let watch: Watch
  private let attendance: Attendance?
  private let hub = EventHub()
  /// Reads files and waits, so no loop does it.
  private let work = DispatchQueue(label: "review.work")
  /// So does what changes something, which waits for no page.
  private let changes = DispatchQueue(label: "review.changes")

  /// Takes a listener that is bound to a loopback address.
  public init?(_ listener: Listener, _ settings: ReviewSettings, _ hooks: ReviewHooks) {
    guard let endpoint = listener.boundEndpoint, endpoint.address.addressClass == .loopback else {
      return nil
    }
    self.endpoint = endpoint
    let hosts = Self.hosts(of: endpoint)
    server = PageServer(listener, PageTerms(hosts: hosts, bodyLimit: Self.bodyLimit, fields: Self.fields))
    access = Mutex(
      Access(origins: Set(hosts.map { "http://\($0)" }), port: endpoint.port, at: Self.clock))
    base = String(Secret().text.prefix(16))
    let log = LogSource(path: settings.log)
    watch = Watch(log, hooks, hub)
    attendance = hooks.line.map { [hub] in Attendance($0, hub, now: hooks.now) }
    router = Router(settings: settings, hooks: hooks, log: log, watch: watch, attendance: attendance)
  }

  /// Answers on `loop` from now on.
  public func start(on loop: EventLoop) {
    watch.start()
    attendance?.start()
    endOrphans(on: loop)
    beat(on: loop)
    server.start(on: loop) { [self] request, reply in take(request, reply) }
  }

  /// An address that lets one browser in, once, within ten minutes. The one before is dead.
  public func oneTimeAddress() -> String {
    let token = access.withLock { $0.newToken(at: Self.clock) }
    return "http://\(endpoint)/\(base)/?token=\(token)"
  }

  /// What a browser may write into `Host`; port 80 is left out by them.
  private static func hosts(of endpoint: Endpoint) -> Set<String> {
    let names = ["\(endpoint)", "localhost:\(endpoint.port)"]
    guard endpoint.port == .http else { return Set(names) }
    return Set(names + ["localhost", String("\(endpoint)".dropLast(3))])
  }

  private static var clock: Duration { .nanoseconds(Int64(clamping: MonotonicTime.now().nanoseconds)) }

  /// - Source: Content Security Policy Level 3; HTML standard (COOP); Fetch standard (CORP); Trusted Types.
  static let fields: [(name: String, value: String)] = [
    (
      "Content-Security-Policy",
      "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        + "form-action 'self'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; "
        + "trusted-types 'none'"
    ),
    ("Referrer-Policy", "no-referrer"), ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cross-Origin-Resource-Policy", "same-origin"), ("Cross-Origin-Embedder-Policy", "require-corp"),
    ("X-Frame-Options", "DENY"),
    ("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
  ]
}

// MARK: - Requests

extension ReviewServer {
  /// Whether it may, then what.
  private func take(_ request: PageRequest, _ reply: PageReply) {
    let parts = request.path.split(separator: "/", maxSplits: 2, omittingEmptySubsequences: false)
    let isHere = parts.count == 3 && parts[1] == base
    let verdict = access.withLock {
      $0.judge(Access.Question(request, isHere: isHere, base: base), at: Self.clock)
    }
    endOrphans()
    switch verdict {
    case .refused(let why): reply(.text(403, "refused: \(why.rawValue)"))
    case .exchanged(let session): reply(redirection(cookie: session.id.text))
    case .granted where !isHere: reply(.text(404, "there is no such page"))
    case .granted(let session): answer(String(parts[2]), request, session, reply)
    }
  }

  private func answer(
    _ name: String, _ request: PageRequest, _ session: Access.Session, _ reply: PageReply
  ) {
    if request.method == "POST", name == "here" {
      // Waits for nothing that other answers wait for.
      hub.sign(of: session.id)
      reply(.text(200, "heard"))
    } else if request.method == "POST" {
      let isForm = request.values(of: "content-type") == [Array(FormFields.mediaType.utf8)]
      changes.async { [router, hub] in
        reply(router.change(name, request.body, isForm: isForm, token: session.token.text))
        hub.send(.pending, data: "{}")
      }
    } else if name == "events" {
      listen(reply, as: session, isPerson: session.isProved(by: FormFields(request.query)?["proof"]))
    } else if name.isEmpty, FormFields(request.query)?["token"] != nil {
      reply(redirection(cookie: nil))
    } else {
      work.async { [router] in reply(router.page(name, request.query, token: session.token.text)) }
    }
  }

  /// Ends the streams of sessions that are over: whoever holds one could see, and answer nothing.
  private func endOrphans() {
    let live = access.withLock { $0.live(at: Self.clock) }
    hub.keep(live)
  }

  /// The same each minute, for sessions that ran out while nobody asked anything.
  private func endOrphans(on loop: EventLoop) {
    loop.submit { [self] in
      loop.schedule(after: .seconds(60)) { [self] in
        endOrphans()
        endOrphans(on: loop)
      }
    }
  }

  private func beat(on loop: EventLoop) {
    loop.submit { [self] in
      loop.schedule(after: EventHub.pause) { [self] in
        hub.beat()
        beat(on: loop)
      }
    }
  }

  /// A cookie alone, which any tab of the browser has, makes nobody who can be asked.
  private func listen(_ reply: PageReply, as session: Access.Session, isPerson: Bool) {
    let head = PageAnswer(type: "text/event-stream", body: Array("retry: 2000\n\n".utf8))
    if !hub.add(of: session.id, isPerson: isPerson, { reply.stream(head, onEnd: $0) }) {
      reply(.text(503, "too many pages are open"))
    }
  }

  /// To the page under its plain address, so that no token stands in the browser's history.
  private func redirection(cookie: String?) -> PageAnswer {
    var answer = PageAnswer.text(303, "go on")
    answer.fields = [("Location", "/\(base)/")]
    if let cookie {
      let name = access.withLock { $0.cookieName }
      answer.fields.append(
        ("Set-Cookie", "\(name)=\(cookie); Path=/\(base)/; HttpOnly; SameSite=Strict"))
    }
    return answer
  }
}

extension Access.Session {
  fileprivate func isProved(by text: String?) -> Bool { token.isKnown(as: (text ?? "").utf8) }
}

extension Access.Question {
  /// What of a request counts. The token counts on the page's own path alone.
  fileprivate init(_ request: PageRequest, isHere: Bool, base: String) {
    self.init(method: request.method)
    if isHere, request.path.utf8.last == UInt8(ascii: "/") {
      oneTime = FormFields(request.query)?["token"]
    }
    isUpgrade = request.isUpgrade
    cookies = request.values(of: "cookie")
    origins = request.values(of: "origin")
    fetchSites = request.values(of: "sec-fetch-site")
    contentTypes = request.values(of: "content-type")
    tokens = request.values(of: "x-exitgate-token")
    if isHere,
      Router.forms.contains(where: { request.path.utf8.dropFirst(base.utf8.count + 2).elementsEqual($0.utf8) }
      )
    {
      formToken = FormFields(body: request.body)?["token"]
    }
    isPrefetch = !request.values(of: "sec-purpose").isEmpty
    isSignOfLife = isHere && request.path.hasSuffix("/here")
  }
}
