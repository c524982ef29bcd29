import Control
import EventLoop
import Policy
import SystemPackage

/// The DNS listeners of the loop that serves them, and who is connected to them.
final class NameDesk {
  let service: NameService
  private let batch = DatagramBatch()
  private var entrances: [NamePlace: NameEntrance] = [:]
  private var connections: [DNSStreamConnection] = []
  /// Connections that ended for others' sake.
  private(set) var displaced: UInt64 = 0

  /// TCP connections at one time. When they are used up, the one that has been
  /// idle for longest goes (RFC 7766 §6.2.3).
  private static let capacity = 256
  /// The same of one agent.
  private static let capacityEach = 128

  init(_ service: NameService) {
    self.service = service
    // Behind the shard's own hook, which answers what waited for the log.
    service.shard.loop.onTurnEnd { [batch] in batch.flush() }
  }

  /// Serves a bound socket from now on.
  func open(_ socket: BoundDatagramSocket, at place: NamePlace, of agent: AgentName) throws(Errno) {
    entrances[place] = try NameEntrance(socket, of: agent, service: service, batch: batch)
  }

  /// Whose questions come in at `place` from now on. Who is connected to it
  /// came as somebody else.
  func assign(_ place: NamePlace, to agent: AgentName) {
    let number = service.number(of: agent)
    guard let entrance = entrances[place], entrance.agent != number else { return }
    entrance.agent = number
    closeConnections(to: place)
  }

  func close(_ place: NamePlace) {
    entrances.removeValue(forKey: place)?.close()
    closeConnections(to: place)
  }

  private func closeConnections(to place: NamePlace) {
    for connection in connections where connection.listener == place { connection.close() }
  }

  /// Takes a TCP connection that came to `place`.
  func accept(_ channel: Channel, at place: NamePlace) {
    guard let agent = entrances[place]?.agent else { return channel.close() }
    let own = connections.count { $0.agent == agent }
    // Never more than is left for the others, see `FairStock`.
    if own >= min(Self.capacityEach, Self.capacity - connections.count) {
      let mayGo = { (other: DNSStreamConnection) in other.isIdle && (own == 0 || other.agent == agent) }
      guard let idle = connections.first(where: mayGo) else { return channel.close() }
      displaced &+= 1
      idle.close()
    }
    let connection = DNSStreamConnection(channel, at: place, service: service, agent: agent) {
      [unowned self] ended in connections.removeAll { $0 === ended }
    }
    connections.append(connection)
    connection.start()
  }

  /// Answers that the kernel did not take.
  var lost: UInt64 { entrances.values.reduce(0) { $0 &+ $1.port.lost } }
  var openConnections: Int { connections.count }

  /// What `status` shows.
  var status: DNSStatus {
    let counters = service.counters, forwarded = service.forwarder.statistics
    var status = DNSStatus(
      listeners: entrances.keys.map(\.description).sorted(), queries: counters.queries,
      allowed: counters.allowed, denied: counters.denied, hits: counters.hits, malformed: counters.malformed,
      limited: counters.limited, dropped: counters.dropped &+ lost, cached: service.memory.answerCount,
      forwarded: forwarded.lookups, underWay: service.forwarder.count, connections: connections.count)
    if let pool = service.settings.pool?.status(at: service.shard.loop.now) {
      status.pool = PoolStatus(
        size: pool.size, mapped: pool.mapped, resting: pool.resting, exhausted: pool.exhausted)
    }
    status.suspended = service.shard.commons.labels.status.suspended.map { "\($0.agent) \($0.domain)" }
    return status
  }

  /// Tells all that was counted: the gate is stopping.
  func finish() {
    service.tell(all: true)
    for connection in connections { connection.close() }
    for entrance in entrances.values { entrance.close() }
    entrances = [:]
  }
}
