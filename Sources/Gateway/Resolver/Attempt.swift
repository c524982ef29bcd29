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
  let sentAt: MonotonicTime
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
  /// Who is down; shared by all who ask on a loop.
  let board: UpstreamBoard
  /// 64 bits that nobody can foretell.
  let random: @Sendable () -> UInt64
  var statistics = ResolverStatistics()
  private var serial: UInt64 = 0

  init(
    routes: UpstreamRoutes, board: UpstreamBoard = UpstreamBoard(),
    random: @escaping @Sendable () -> UInt64
  ) {
    self.routes = routes
    self.board = board
    self.random = random
  }

  mutating func attempt(
    _ name: Hostname, _ type: DNSRecordType, at upstream: Upstream, over transport: Attempt.Transport,
    from now: MonotonicTime, until deadline: MonotonicTime
  ) -> Attempt {
    serial &+= 1
    board.note(upstream) { $0.sent() }
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
      transport: transport, sentAt: now, deadline: deadline)
  }
}
