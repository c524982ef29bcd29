import Addressing
import Confinement
import Firewall
import Glibc

/// The process that keeps CAP_NET_ADMIN: it owns the tables and does what the
/// few messages say, one after the other.
public final class Keeper {
  /// Between two proofs of the table, in milliseconds.
  static let proofInterval: Int64 = 10_000
  /// Until a change that the kernel refused is tried again, in milliseconds.
  static let retryInterval: Int64 = 500

  private let channel: MessageChannel
  var settings: KeeperSettings
  let socket: NetfilterSocket
  private let flows: ConntrackSocket
  private let watch: TableWatch
  let canary: Canary?
  private let routing: PolicyRouting?
  /// Tells of the links that agents are behind; nil where there are none.
  let links: LinkWatch?
  /// Links that were closed, and the gate does not know yet.
  var untold: [LostLink] = []
  /// Whether the kernel's table still holds what was taken from a link.
  var isStale = false
  private(set) var rules: FenceRules?
  /// Devices that came and are not guarded yet, and those of which that was said.
  var unguarded: [String] = [], told: Set<String> = []
  /// The kernel's numbers of the devices that lead out; nil before one came or went.
  var deviceNumbers: [UInt32]?
  /// Whether devices came or went and nobody could say which there are.
  var isUnlisted = false
  /// Whether somebody took the tables away and the kernel refused to have them back.
  private(set) var isMissing = false
  /// What was held back: by the tables that are there, as far as is known, and by those before them.
  private var counted: [TableName: [Heldback: UInt64]] = [:], countedBefore: [Heldback: UInt64] = [:]
  /// How the table fared at the last proof; nil before the first.
  private var proof: CanaryState?

  /// Opens what it needs, in the network namespace of the calling thread.
  init(
    _ channel: MessageChannel, _ settings: KeeperSettings, links: LinkWatch? = nil
  ) throws(NetfilterError) {
    self.links = links
    canary = try settings.makeCanary(as: geteuid())
    routing = try settings.makeRouting()
    self.channel = channel
    self.settings = settings.proved(by: canary?.mark)
    socket = try NetfilterSocket()
    flows = try ConntrackSocket()
    watch = try TableWatch(
      tables: [TableName(.inet, "exitgate"), TableName(.netdev, "exitgate")], ownPorts: [socket.portID])
  }

  /// Runs until the gate ends.
  ///
  /// - Parameter links: What tells of the links that agents are behind, opened before they were looked for.
  /// - Returns: The exit status.
  public static func run(
    _ channel: MessageChannel, _ settings: KeeperSettings, links: LinkWatch? = nil
  ) -> Int32 {
    do {
      let keeper = try Keeper(channel, settings, links: links)
      _ = try Confinement.apply(.keeper())
      try keeper.serve()
      return 0
    } catch {
      // Whoever waits for the first answer is told.
      _ = try? channel.receive()
      try? channel.send(Numbered(number: 1, content: KeeperReply.refused("\(error)")).bytes)
      return 1
    }
  }

  private func serve() throws {
    var next = now() + Self.proofInterval
    while true {
      if now() >= next {
        next = now() + Self.proofInterval
        if rules != nil { keepUp() }
      }
      followLinks()
      // poll(2) passes over a negative descriptor: before there is a table, nothing has to be closed in it.
      var ready = [channel.descriptor, watch.descriptor, rules == nil ? -1 : links?.descriptor ?? -1].map {
        pollfd(fd: $0, events: Int16(POLLIN), revents: 0)
      }
      let wait = min(next - now(), isStale || isMissing ? Self.retryInterval : .max)
      let count = poll(&ready, nfds_t(ready.count), Int32(clamping: max(0, wait)))
      guard count >= 0 || errno == EINTR else { return }
      guard count > 0 else { continue }
      if ready[2].revents != 0 { followLinks() }
      if ready[1].revents != 0 { try look() }
      guard ready[0].revents != 0 else { continue }
      guard case .message(let bytes, let descriptors) = try channel.receive() else { return }
      descriptors.forEach { _ = close($0) }
      let request = try Numbered<KeeperRequest>(bytes)
      try channel.send(Numbered(number: request.number, content: obey(request.content)).bytes)
    }
  }

  func obey(_ request: KeeperRequest) -> KeeperReply {
    do {
      switch request {
      case .install(let rules): try install(rules)
      case .refill(let rules, let revoked): try refill(rules, revoked)
      case .open(let openings): try open(openings)
      case .report: return .state(try report())
      case .count: return .counted(try count())
      }
      return .done
    } catch { return .refused("\(error)") }
  }

  private func install(_ rules: FenceRules) throws {
    hearOfLinks()
    try socket.claim(settings.tables(rules), ownership: settings.ownership)
    _ = try routing?.ensure()
    (self.rules, isStale) = (rules, false)
    if prove() == .missed { throw NotProved() }
  }

  /// What was learned under a mark goes first: with it in place, a new flow
  /// would still get the mark while the rules change.
  private func refill(_ rules: FenceRules, _ revoked: Set<UInt32>) throws(NetfilterError) {
    let name = settings.table(rules).name
    for set in settings.learnedSets where !revoked.isEmpty {
      for stored in try socket.elements(of: set, in: name) where stored.hasMark(of: revoked) {
        do { try socket.delete([Element(stored.key)], of: set, in: name) } catch {
          // One that has run out meanwhile is gone as well.
          guard error.problem == .absent else { throw error }
        }
      }
    }
    try socket.refill(settings.table(rules))
    let ended = revoked.union(self.rules?.isAudit == true && !rules.isAudit ? [Grants.auditMark] : [])
    // It holds no egress table: devices that wait for theirs go on waiting.
    (self.rules, isStale) = (rules, !unguarded.isEmpty)
    try flows.delete(marks: ended)
  }

  /// A rule that is gone by now opens nothing, whatever was on its way.
  private func open(_ openings: [FenceOpening]) throws(NetfilterError) {
    guard let rules else { return }
    var sets: [String: (set: NFSet, elements: [Element])] = [:]
    for opening in openings where rules.marks.contains(opening.mark) {
      for port in opening.ports {
        guard let (set, element) = settings.learned(opening, port: port) else { continue }
        sets[set.name, default: (set, [])].elements.append(element)
      }
    }
    for (set, elements) in sets.values { try add(elements, to: set, rules) }
  }

  /// An address that another rule has opened is that one's until it runs out;
  /// the later answer takes it over.
  private func add(_ elements: [Element], to set: NFSet, _ rules: FenceRules) throws(NetfilterError) {
    let name = settings.table(rules).name
    do { try socket.add(elements, to: set, of: name) } catch {
      guard error.problem == .other(EEXIST) else { throw error }
      for element in elements {
        do { try socket.delete([Element(element.key)], of: set, in: name) } catch {
          guard error.problem == .absent else { throw error }
        }
      }
      try socket.add(elements, to: set, of: name)
    }
  }

  private func report() throws(NetfilterError) -> FenceState {
    let tables = try socket.tables(prefix: "exitgate"), name = TableName(.inet, "exitgate")
    guard let own = tables.first(where: { $0.name == name }) else { return .missing }
    var learned = 0
    for set in settings.learnedSets { learned += try socket.elements(of: set, in: name).count }
    let counts = try count()
    var state = FenceState(
      isOwned: own.isOwned && own.isPersistent,
      denied: counts.packets { $0 != .audited && $0 != .frame }, frames: counts.packets { $0 == .frame },
      learned: UInt32(clamping: learned))
    state.audited = rules?.isAudit == true ? counts.packets { $0 == .audited } : nil
    state.canary = prove()
    state.unguarded = unguarded
    return state
  }

  /// Packets that were held back since the first table was made.
  private func count() throws(NetfilterError) -> [Heldback: UInt64] {
    for table in settings.tableNames {
      let named = try socket.counts(in: table).compactMap { name, packets in
        Heldback(named: name).map { ($0, packets) }
      }
      // A table that is there has its counters: of one that is gone, what was last known.
      if !named.isEmpty { counted[table] = Dictionary(named, uniquingKeysWith: &+) }
    }
    return counted.values.reduce(countedBefore) { $0.merging($1, uniquingKeysWith: &+) }
  }

  /// Notes what tables have counted that are about to be made anew; of one that is gone, what was last known.
  func keepCount(of tables: [TableName]? = nil) {
    _ = try? count()
    for table in tables ?? settings.tableNames {
      countedBefore.merge(counted.removeValue(forKey: table) ?? [:], uniquingKeysWith: &+)
    }
  }

  // MARK: - Proof

  /// What is done again and again while nobody asks.
  private func keepUp() {
    _ = prove()
    guard let routing else { return }
    do throws(NetfilterError) {
      if try routing.ensure() { tell("the routing of what was captured, which was made anew") }
    } catch { tell("the routing of what was captured, which is NOT made anew: \(error)") }
  }

  func tell(_ what: String) { say(.changed(what)) }

  /// Says something unasked.
  func say(_ what: KeeperReply) { try? channel.send(Numbered(number: 0, content: what).bytes) }

  /// Sends packets that the table has to deny.
  private func prove() -> CanaryState {
    let state: CanaryState
    if let canary {
      state =
        switch try? socket.prove(TableName(.inet, "exitgate"), by: canary) {
        case .counted: .counted
        case .unsent: .unsent
        case .missed, nil: .missed
        }
    } else {
      state = .impossible
    }
    defer { proof = state }
    if let proof, proof != state {
      say(.canary(state))
    }
    return state
  }

  /// Milliseconds of a clock that never goes back (clock_gettime(2)).
  private func now() -> Int64 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000
  }

  /// Somebody else has touched the tables: they are made anew, and the gate is told.
  private func look() throws {
    let report = watch.receive()
    guard !report.isEmpty, let rules else { return }
    let what =
      report.changes.first.map {
        "\($0.isDeletion ? "deletion" : "change") of a \($0.object.rawValue) by process \($0.portID)"
      } ?? "an unknown change"
    let failure = remake(rules)
    tell("the kernel's table: \(what); \(failure.map { "NOT made anew: \($0)" } ?? "made anew")")
  }

  /// Makes the tables anew; where the kernel refuses, it is tried again and again.
  ///
  /// - Returns: Why it refused.
  private func remake(_ rules: FenceRules) -> NetfilterError? {
    keepCount()
    do throws(NetfilterError) {
      try socket.claim(settings.tables(rules), ownership: settings.ownership)
      isMissing = false
      return nil
    } catch {
      isMissing = true
      return error
    }
  }

  /// Tries again what `look` could not do.
  func remakeMissing(_ rules: FenceRules) {
    guard isMissing, remake(rules) == nil else { return }
    tell("the kernel's table: it was missing; made anew")
  }
}

/// The table is there and does not do what it is for.
struct NotProved: Error, CustomStringConvertible {
  var description: String {
    "a packet that it has to deny was not counted by it, so something else decides before it. See what does with "
      + "'nft list ruleset' and take it away; the table itself stays and is closed."
  }
}

extension [Heldback: UInt64] {
  fileprivate func packets(_ isMeant: (Heldback.Cause) -> Bool) -> UInt64 {
    reduce(0) { isMeant($1.key.cause) ? $0 &+ $1.value : $0 }
  }
}

extension StoredElement {
  fileprivate func hasMark(of marks: Set<UInt32>) -> Bool {
    guard case .number(let mark)? = data else { return false }
    return marks.contains(mark)
  }
}
