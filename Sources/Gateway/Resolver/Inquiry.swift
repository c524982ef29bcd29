import Addressing
import EventLoop
import Wire

/// One question, name and type, until the upstreams answered or the time is over.
///
/// The upstreams of the name's zone are asked in order, and no other; those that are
/// down come last, but for a probe now and then (`UpstreamBoard`). One that is silent for 2 s goes to the end of the line, one that fails leaves it. Behind an
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
  /// Whether the attempt is a probe, whose silence costs no try.
  private var isProbe: Bool

  /// Starts with the first upstream; nil when nobody is asked for this name:
  /// `UpstreamRoutes.refusal(of:)` says why.
  init?(
    _ name: Hostname, _ type: DNSRecordType, at now: MonotonicTime, _ resources: inout InquiryResources
  ) {
    guard case .upstreams(let upstreams) = resources.routes.route(of: name) else { return nil }
    let (line, patience) = resources.board.line(of: upstreams, at: now)
    guard let first = line.first else { return nil }
    self.name = name
    self.type = type
    over = now + ResolverLimit.lookup
    self.line = line
    untried = line.count - 1
    isProbe = patience < ResolverLimit.attempt
    attempt = resources.attempt(
      name, type, at: first, over: .datagram, from: now, until: now + patience)
  }

  /// Takes a datagram that came to the attempt's socket.
  mutating func receive(
    datagram bytes: [UInt8], from sender: Endpoint, at now: MonotonicTime, _ resources: inout InquiryResources
  ) -> Step {
    guard attempt.transport == .datagram else { return .wait }
    guard sender == attempt.upstream.endpoint else { return mismatch(at: now, &resources) }
    if let addresses = DNSAddresses(bytes.span, answering: attempt.query) {
      noteAnswered(at: now, resources)
      return take(UpstreamAnswer(addresses), at: now, &resources)
    }
    guard let response = try? DNSResponse(bytes) else { return mismatch(at: now, &resources) }
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
    resources.board.note(attempt.upstream) { [isOnlyWay = attempt.transport == .secure] in
      $0.broke(because: cause, isOnlyWay: isOnlyWay, at: now)
    }
    return failed(at: now, &resources)
  }

  /// Looks whether the attempt's time is over.
  mutating func wake(at now: MonotonicTime, _ resources: inout InquiryResources) -> Step {
    guard now >= attempt.deadline else { return .wait }
    resources.statistics.timeouts += 1
    resources.board.note(attempt.upstream) { $0.wasSilent(at: now) }
    if !isProbe { silences += 1 }
    isProbe = false
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
    noteAnswered(at: now, resources)
    if response.isTruncated { return send(over: .stream, at: now, &resources) }
    guard let sections = try? response.sections() else { return bad(at: now, &resources) }
    guard [.noError, .nameDoesNotExist].contains(sections.responseCode) else {
      resources.board.note(attempt.upstream) { $0.refused() }
      return failed(at: now, &resources)
    }
    do throws(ResolveFailure) {
      let routes = resources.routes, name = name
      let answer = try UpstreamAnswer.read(
        sections, of: message, question: attempt.query.question, room: ResolverLimit.chain - chain.count,
        within: { routes.route(of: $0) == routes.route(of: name) })
      return take(answer, at: now, &resources)
    } catch {
      return error == .chainTooLong ? fail(error, at: now) : bad(at: now, &resources)
    }
  }

  private mutating func noteAnswered(at now: MonotonicTime, _ resources: InquiryResources) {
    isProbe = false
    resources.board.note(attempt.upstream) { [sentAt = attempt.sentAt] in $0.answered(after: now - sentAt) }
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
    case .upstreams(let upstreams):
      if route != resources.routes.route(of: name) {
        let (line, patience) = resources.board.line(of: upstreams, at: now)
        (self.line, untried, silences) = (line, line.count - 1, 0)
        isProbe = patience < ResolverLimit.attempt
      }
      name = target
      return send(over: .datagram, at: now, &resources)
    }
  }

  private mutating func failed(at now: MonotonicTime, _ resources: inout InquiryResources) -> Step {
    resources.statistics.upstreamFailures += 1
    return nextUpstream(after: .serverFailure, at: now, &resources)
  }

  private mutating func bad(at now: MonotonicTime, _ resources: inout InquiryResources) -> Step {
    resources.statistics.badResponses += 1
    resources.board.note(attempt.upstream) { $0.refused() }
    return nextUpstream(after: .badResponse, at: now, &resources)
  }

  private mutating func nextUpstream(
    after failure: ResolveFailure, at now: MonotonicTime, _ resources: inout InquiryResources
  ) -> Step {
    line.removeFirst()
    isProbe = false
    untried = max(untried - 1, 0)
    return line.isEmpty ? fail(failure, at: now) : send(over: .datagram, at: now, &resources)
  }

  private mutating func send(
    over transport: Attempt.Transport, at now: MonotonicTime, _ resources: inout InquiryResources
  ) -> Step {
    guard let upstream = line.first, now < over else { return fail(.timeout, at: now) }
    attempt = resources.attempt(
      name, type, at: upstream, over: transport, from: now,
      until: min(now + (isProbe ? UpstreamHealth.probe : ResolverLimit.attempt), over))
    return .send
  }

  private func fail(_ failure: ResolveFailure, at now: MonotonicTime) -> Step {
    .finish(InquiryAnswer(result: .failure(failure), chain: chain, until: now + ResolverLimit.failureMemory))
  }
}
