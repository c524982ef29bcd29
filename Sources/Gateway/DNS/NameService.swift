import Addressing
import Audit
import EventLoop
import Policy
import Wire

/// Answers agents' questions: one for all DNS listeners, confined to one loop.
///
/// A question is read where it lies; when its answer is at hand, that is copied
/// and patched, and nothing is allocated. Anything else is judged by the policy
/// (`QuestionJudge`), asked upstream (`Forwarder`), put together
/// (`AnswerAssembly`), recorded, and then answered.
final class NameService {
  unowned let shard: Shard
  /// The shard's, looked at for every question.
  private let loop: EventLoop, log: AuditLog
  let settings: NameSettings
  var memory = NameMemory()
  var counters = NameCounters()
  /// See `ruleTime`; another policy has another clock.
  var ruleTimeOfTurn: (turn: MonotonicTime, time: Timestamp)?
  /// Made anew for each policy.
  var judge: QuestionJudge?
  private(set) var agents: [AgentName] = []
  private var rate: QueryRate
  private(set) var forwarder: Forwarder!
  /// What goes on once the kernel has let an answer's addresses pass.
  private var awaitingFence: [UInt64: (Bool) -> Void] = [:]
  private var lastAwaited: UInt64 = 0
  /// Where the question's name lies in lower case.
  private let folded = UnsafeMutableRawBufferPointer.allocate(byteCount: 256, alignment: 8)
  /// Where an answer over TCP is written that comes later.
  let output = UnsafeMutableRawBufferPointer.allocate(byteCount: DNSResponseWriter.messageLimit, alignment: 8)

  init(shard: Shard, settings: NameSettings) {
    (self.shard, loop, log) = (shard, shard.loop, shard.log)
    self.settings = settings
    rate = QueryRate(perSecond: settings.rate)
    forwarder = Forwarder(
      loop: shard.loop, settings.resolver, sharing: shard.resolver
    ) { [unowned self] in conclude($0, $1, $2) }
  }

  deinit {
    folded.deallocate()
    output.deallocate()
  }

  /// The number that stands for `agent` in keys.
  func number(of agent: AgentName) -> AgentNumber {
    if let index = agents.firstIndex(of: agent) { return AgentNumber(index) }
    agents.append(agent)
    return AgentNumber(agents.count - 1)
  }

  /// Answers a message, or drops it, or keeps it until there is an answer.
  ///
  /// - Parameters:
  ///   - message: A message, without TCP's length.
  ///   - isWhole: Whether that is all of it.
  ///   - path: Where an answer goes that comes later; asked for any number of times.
  /// - Returns: What became of it; an answer that comes later may have come by then.
  func handle(
    _ message: UnsafeRawBufferPointer, isWhole: Bool = true, over transport: DNSTransport,
    as agent: AgentNumber, into response: UnsafeMutableRawBufferPointer, path: () -> ReplyPath
  ) -> Handled {
    counters.queries &+= 1
    // Before it is read: what is no query would else take the log's room from those that are.
    let room = transport == .datagram ? rate.take(agent, at: loop.now) : .pass
    guard room != .drop else { return drop() }
    let query: DNSQueryScan
    do throws(DNSError) {
      query = try DNSQueryScan(message.bytes)
      guard isWhole else { throw .trailingBytes }
    } catch {
      return room == .pass ? refuse(error, message, agent, into: response, from: path) : drop()
    }
    if room == .truncate {
      counters.limited &+= 1
      return .response(writeTruncated(query, message, into: response))
    }
    if let edns = query.edns, edns.version > 0 {
      return .response(
        write(DNSAnswer(.badVersion), query, message, lifetime: 0, transport, into: response))
    }
    let asked = AskedQuestion(
      query: query, message: message, name: fold(message, query), transport: transport, agent: agent)
    let hash = QuestionKey.hash(asked.name, query.type, agent)
    let now = loop.now
    if let known = memory.answer(
      to: asked.name, hash: hash, query.type, agent, mayAllow: log.isAvailable, at: now)
    {
      counters.count(known.verdict, isKnown: true)
      return .response(write(known, query, message, now, transport, into: response))
    }
    return decide(asked, hash, at: now, into: response, path: path)
  }

  /// Has `work` run when `fenceAnswered` is called with the number that this gives.
  func awaitFence(_ work: @escaping (Bool) -> Void) -> UInt64 {
    lastAwaited += 1
    awaitingFence[lastAwaited] = work
    return lastAwaited
  }

  /// The kernel has taken an answer's addresses, or has not.
  func fenceAnswered(_ number: UInt64, _ isOpen: Bool) {
    awaitingFence.removeValue(forKey: number)?(isOpen)
  }

  private func drop() -> Handled {
    counters.dropped &+= 1
    return .nothing
  }

  /// The name in lower case. Length bytes are below every letter, so they stay.
  private func fold(_ message: UnsafeRawBufferPointer, _ query: DNSQueryScan) -> UnsafeRawBufferPointer {
    for index in 0..<query.nameLength {
      let byte = message[DNSQueryScan.nameOffset + index]
      folded[index] = byte &- UInt8(ascii: "A") < 26 ? byte | 0x20 : byte
    }
    return UnsafeRawBufferPointer(rebasing: folded[..<query.nameLength])
  }

  /// How long a question over TCP must wait to be read; nil: it need not.
  func streamDelay(_ agent: AgentNumber) -> Duration? {
    rate.wait(agent, at: shard.loop.now)
  }
}

/// What became of a message.
enum Handled: Hashable {
  /// It is answered: so many bytes.
  case response(Int)
  /// Its answer comes later, by its path.
  case later
  /// It gets none.
  case nothing
}

/// A question as it stands in its message, for the time of a call.
struct AskedQuestion {
  let query: DNSQueryScan
  let message: UnsafeRawBufferPointer
  /// In lower case, as on the wire.
  let name: UnsafeRawBufferPointer
  let transport: DNSTransport
  let agent: AgentNumber

  /// Keeps of the message what the answer repeats: behind that there may be 64 KiB.
  func waiting(_ key: QuestionKey, _ path: ReplyPath) -> Waiting {
    Waiting(Array(message.prefix(query.questionEnd)), query, key, path)
  }
}
