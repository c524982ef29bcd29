import Addressing
import EventLoop
import Wire

/// One query on its way to one upstream. Each has an id, a spelling and a
/// socket of its own.
struct Attempt: Sendable {
  enum Transport: Hashable, Sendable { case datagram, stream, secure }

  /// Never the same for two attempts of one resolver.
  let serial: UInt64
  let upstream: Upstream
  let query: DNSQuery
  let transport: Transport
  let deadline: MonotonicTime
  var mismatches = 0

  /// How a datagram or message compares with what was asked.
  enum Match { case exact, otherCase, none }

  func match(_ response: DNSResponse) -> Match {
    guard response.header.id == query.id else { return .none }
    if response.question == query.question { return .exact }
    return response.question.folded == query.question.folded ? .otherCase : .none
  }
}

/// What all inquiries of one resolver draw from and count into.
struct InquiryResources {
  let routes: UpstreamRoutes
  /// 64 bits that nobody can foretell.
  let random: @Sendable () -> UInt64
  var statistics = ResolverStatistics()
  private var serial: UInt64 = 0

  init(routes: UpstreamRoutes, random: @escaping @Sendable () -> UInt64) {
    self.routes = routes
    self.random = random
  }

  mutating func attempt(
    _ name: Hostname, _ type: DNSRecordType, at upstream: Upstream, over transport: Attempt.Transport,
    deadline: MonotonicTime
  ) -> Attempt {
    serial &+= 1
    // The one place where it is chosen: a TLS upstream is never spoken to otherwise.
    let transport = upstream.transport == .plain ? transport : .secure
    switch transport {
    case .datagram: statistics.datagramQueries += 1
    case .stream: statistics.streamQueries += 1
    case .secure: statistics.secureQueries += 1
    }
    let question = DNSQuestion(DNSName(name).withRandomCase(random), type)
    let id = UInt16(truncatingIfNeeded: random())
    return Attempt(
      serial: serial, upstream: upstream, query: DNSQuery(id: id, question: question),
      transport: transport, deadline: deadline)
  }
}

/// One question, name and type, until the upstreams answered or the time is over.
///
/// The upstreams of the name's zone are asked in order, and no other. One that is
/// silent for 2 s goes to the end of the line, one that fails leaves it. Behind an
/// alias that leads into another zone, that zone's upstreams are asked.
struct Inquiry: Sendable {
  /// What has to happen after an event.
  enum Step {
    /// Nothing: the attempt goes on.
    case wait
    /// Drop the attempt before, send `attempt`.
    case send
    /// There is an answer, or there will be none.
    case finish(InquiryAnswer)
  }

  let type: DNSRecordType
  private(set) var attempt: Attempt
  private let over: MonotonicTime
  private var name: Hostname
  private var line: [Upstream]
  private var chain: [Hostname] = []
  private var timeToLive = ResolverLimit.timeToLive.upperBound
  private var untried: Int
  private var silences = 0

  /// Starts with the first upstream; nil when nobody is asked for this name:
  /// `UpstreamRoutes.refusal(of:)` says why.
  init?(
    _ name: Hostname, _ type: DNSRecordType, at now: MonotonicTime, _ resources: inout InquiryResources
  ) {
    guard case .upstreams(let line) = resources.routes.route(of: name), let first = line.first else {
      return nil
    }
    self.name = name
    self.type = type
    over = now + ResolverLimit.lookup
    self.line = line
    untried = line.count - 1
    attempt = resources.attempt(
      name, type, at: first, over: .datagram, deadline: now + ResolverLimit.attempt)
  }

  /// Takes a datagram that came to the attempt's socket.
  mutating func receive(
    datagram bytes: [UInt8], from sender: Endpoint, at now: MonotonicTime, _ resources: inout InquiryResources
  ) -> Step {
    guard attempt.transport == .datagram else { return .wait }
    guard sender == attempt.upstream.endpoint, let response = try? DNSResponse(bytes) else {
      return mismatch(at: now, &resources)
    }
    switch attempt.match(response) {
    case .none: return mismatch(at: now, &resources)
    case .otherCase:
      // An upstream that does not keep the case, or somebody who guessed the
      // rest: over TCP it does not matter which.
      resources.statistics.mismatches += 1
      return send(over: .stream, at: now, &resources)
    case .exact: return take(response, bytes, at: now, &resources)
    }
  }

  /// Takes the first message of the attempt's connection.
  mutating func receive(
    message bytes: [UInt8], at now: MonotonicTime, _ resources: inout InquiryResources
  ) -> Step {
    guard attempt.transport != .datagram else { return .wait }
    guard let response = try? DNSResponse(bytes), attempt.match(response) != .none, !response.isTruncated
    else { return bad(at: now, &resources) }
    return take(response, bytes, at: now, &resources)
  }

  /// The attempt's socket or connection failed.
  mutating func socketFailed(
    because cause: String = "its socket failed", at now: MonotonicTime, _ resources: inout InquiryResources
  ) -> Step {
    resources.statistics.upstreamFailures += 1
    return nextUpstream(after: .serverFailure, at: now, &resources)
  }

  /// Looks whether the attempt's time is over.
  mutating func wake(at now: MonotonicTime, _ resources: inout InquiryResources) -> Step {
    guard now >= attempt.deadline else { return .wait }
    resources.statistics.timeouts += 1
    silences += 1
    line.append(line.removeFirst())
    guard untried > 0 || silences < ResolverLimit.silentAttempts else { return fail(.timeout, at: now) }
    untried = max(untried - 1, 0)
    return send(over: .datagram, at: now, &resources)
  }

  private mutating func mismatch(at now: MonotonicTime, _ resources: inout InquiryResources) -> Step {
    resources.statistics.mismatches += 1
    attempt.mismatches += 1
    guard attempt.mismatches >= ResolverLimit.mismatches else { return .wait }
    return send(over: .stream, at: now, &resources)
  }

  private mutating func take(
    _ response: DNSResponse, _ message: [UInt8], at now: MonotonicTime, _ resources: inout InquiryResources
  ) -> Step {
    if response.isTruncated { return send(over: .stream, at: now, &resources) }
    guard let sections = try? response.sections() else { return bad(at: now, &resources) }
    guard [.noError, .nameDoesNotExist].contains(sections.responseCode) else {
      return socketFailed(at: now, &resources)
    }
    do throws(ResolveFailure) {
      let routes = resources.routes, route = routes.route(of: name)
      let answer = try UpstreamAnswer.read(
        sections, of: message, question: attempt.query.question, room: ResolverLimit.chain - chain.count,
        within: { routes.route(of: $0) == route })
      return take(answer, at: now, &resources)
    } catch {
      return error == .chainTooLong ? fail(error, at: now) : bad(at: now, &resources)
    }
  }

  private mutating func take(
    _ answer: UpstreamAnswer, at now: MonotonicTime, _ resources: inout InquiryResources
  ) -> Step {
    chain += answer.chain
    timeToLive = min(timeToLive, answer.timeToLive)
    let until = now + .seconds(Int64(timeToLive))
    switch answer.content {
    case .found(let content):
      return .finish(InquiryAnswer(result: .success(content), chain: chain, until: until))
    case .noData: return .finish(InquiryAnswer(result: .failure(.noAddresses), chain: chain, until: until))
    case .nameDoesNotExist:
      return .finish(InquiryAnswer(result: .failure(.nameDoesNotExist), chain: chain, until: until))
    case .alias(let target):
      guard chain.count < ResolverLimit.chain else { return fail(.chainTooLong, at: now) }
      return follow(target, until: until, at: now, &resources)
    }
  }

  /// Asks for what the name is an alias of.
  private mutating func follow(
    _ target: Hostname, until: MonotonicTime, at now: MonotonicTime, _ resources: inout InquiryResources
  ) -> Step {
    let route = resources.routes.route(of: target)
    switch route {
    case .nobody: return fail(.serverFailure, at: now)
    case .nowhere:
      return .finish(InquiryAnswer(result: .failure(.nameDoesNotExist), chain: chain, until: until))
    case .upstreams(let line):
      if route != resources.routes.route(of: name) {
        (self.line, untried, silences) = (line, line.count - 1, 0)
      }
      name = target
      return send(over: .datagram, at: now, &resources)
    }
  }

  private mutating func bad(at now: MonotonicTime, _ resources: inout InquiryResources) -> Step {
    resources.statistics.badResponses += 1
    return nextUpstream(after: .badResponse, at: now, &resources)
  }

  private mutating func nextUpstream(
    after failure: ResolveFailure, at now: MonotonicTime, _ resources: inout InquiryResources
  ) -> Step {
    line.removeFirst()
    untried = max(untried - 1, 0)
    return line.isEmpty ? fail(failure, at: now) : send(over: .datagram, at: now, &resources)
  }

  private mutating func send(
    over transport: Attempt.Transport, at now: MonotonicTime, _ resources: inout InquiryResources
  ) -> Step {
    guard let upstream = line.first, now < over else { return fail(.timeout, at: now) }
    attempt = resources.attempt(
      name, type, at: upstream, over: transport, deadline: min(now + ResolverLimit.attempt, over))
    return .send
  }

  private func fail(_ failure: ResolveFailure, at now: MonotonicTime) -> Step {
    .finish(InquiryAnswer(result: .failure(failure), chain: chain, until: now + ResolverLimit.failureMemory))
  }
}
