import Addressing
import Confinement
import Firewall
import Glibc

/// What is fixed for the life of a sidecar's tables; the gate cannot change it by a message.
public struct KeeperSettings: Hashable, Sendable {
  /// The user that the gate runs as.
  public var gateUID: UInt32
  /// The gate's control group; nil where it has none that is its alone.
  public var gateGroup: ControlGroup?
  public var transparentPort: UInt16
  public var dnsPort: UInt16
  public var proxyPort: UInt16
  /// TCP ports on which others may connect to the agent.
  public var inboundPorts: [UInt16]
  /// The NFLOG group of denied packets.
  public var logGroup: UInt16
  /// The devices that lead out.
  public var devices: [String]
  /// Whether the kernel lets a table be owned.
  public var ownership: Ownership
  /// Whose packets prove that the table denies.
  var canary: Canary.Mark?

  /// Makes settings.
  public init(
    gateUID: UInt32, gateGroup: ControlGroup?, transparentPort: UInt16, dnsPort: UInt16, proxyPort: UInt16,
    inboundPorts: [UInt16], logGroup: UInt16, devices: [String], ownership: Ownership
  ) {
    (self.gateUID, self.gateGroup) = (gateUID, gateGroup)
    (self.transparentPort, self.dnsPort, self.proxyPort) = (transparentPort, dnsPort, proxyPort)
    (self.inboundPorts, self.logGroup) = (inboundPorts, logGroup)
    (self.devices, self.ownership) = (devices, ownership)
  }

  /// The table that `rules` make.
  public func table(_ rules: FenceRules) -> Table {
    SidecarTable(
      gateUID: gateUID, gateGroup: gateGroup, transparentPort: transparentPort, dnsPort: dnsPort,
      proxyPort: proxyPort, synthetic4: rules.synthetic4, synthetic6: rules.synthetic6,
      inboundPorts: inboundPorts, grants: rules.firewallGrants, logGroup: logGroup, canary: canary
    ).table
  }

  /// All tables.
  public func tables(_ rules: FenceRules) -> [Table] {
    [table(rules)] + (devices.isEmpty ? [] : [EgressTable(devices: devices).table])
  }
}

/// The process that keeps CAP_NET_ADMIN: it owns the tables and does what the
/// few messages say, one after the other.
public final class Keeper {
  /// Between two proofs of the table, in milliseconds.
  static let proofInterval: Int64 = 10_000

  private let channel: MessageChannel
  private let settings: KeeperSettings
  private let socket: NetfilterSocket
  private let flows: ConntrackSocket
  private let watch: TableWatch
  private let canary: Canary?
  private var rules: FenceRules?
  /// How the table fared at the last proof; nil before the first.
  private var proof: CanaryState?

  /// Opens what it needs, in the network namespace of the calling thread.
  init(_ channel: MessageChannel, _ settings: KeeperSettings) throws(NetfilterError) {
    // As the gate's user its packets would be exempt, and prove nothing.
    canary = geteuid() == settings.gateUID ? nil : try Canary(devices: settings.devices)
    self.channel = channel
    self.settings = settings.proved(by: canary?.mark)
    socket = try NetfilterSocket()
    flows = try ConntrackSocket()
    watch = try TableWatch(
      tables: [TableName(.inet, "exitgate"), TableName(.netdev, "exitgate")], ownPorts: [socket.portID])
  }

  /// Runs until the gate ends.
  ///
  /// - Returns: The exit status.
  public static func run(_ channel: MessageChannel, _ settings: KeeperSettings) -> Int32 {
    do {
      let keeper = try Keeper(channel, settings)
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
        if rules != nil { _ = prove() }
      }
      var ready = [
        pollfd(fd: channel.descriptor, events: Int16(POLLIN), revents: 0),
        pollfd(fd: watch.descriptor, events: Int16(POLLIN), revents: 0),
      ]
      let count = poll(&ready, 2, Int32(clamping: max(0, next - now())))
      guard count >= 0 || errno == EINTR else { return }
      guard count > 0 else { continue }
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
      }
      return .done
    } catch { return .refused("\(error)") }
  }

  private func install(_ rules: FenceRules) throws {
    try socket.claim(settings.tables(rules), ownership: settings.ownership)
    self.rules = rules
    if prove() == .missed { throw NotProved() }
  }

  /// What was learned under a mark goes first: with it in place, a new flow
  /// would still get the mark while the rules change.
  private func refill(_ rules: FenceRules, _ revoked: Set<UInt32>) throws(NetfilterError) {
    let name = settings.table(rules).name
    for set in [Grants.raw4, Grants.raw6] where !revoked.isEmpty {
      for stored in try socket.elements(of: set, in: name) where stored.hasMark(of: revoked) {
        do { try socket.delete([Element(stored.key)], of: set, in: name) } catch {
          // One that has run out meanwhile is gone as well.
          guard error.problem == .absent else { throw error }
        }
      }
    }
    try socket.refill(settings.table(rules))
    let ended = revoked.union(self.rules?.isAudit == true && !rules.isAudit ? [Grants.auditMark] : [])
    self.rules = rules
    for mark in ended { _ = try flows.delete(mark: mark) }
  }

  /// A rule that is gone by now opens nothing, whatever was on its way.
  private func open(_ openings: [FenceOpening]) throws(NetfilterError) {
    guard let rules else { return }
    var elements: [Bool: [Element]] = [:]
    for opening in openings where rules.marks.contains(opening.mark) {
      for port in opening.ports {
        let learned = Grants.learned(
          opening.address, port: port, mark: opening.mark, timeout: .seconds(Int64(opening.lifetime)))
        elements[opening.address.isV4, default: []].append(learned.element)
      }
    }
    for (isV4, elements) in elements { try add(elements, to: isV4 ? Grants.raw4 : Grants.raw6, rules) }
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
    let egress = TableName(.netdev, "exitgate")
    let frames = tables.contains { $0.name == egress } ? try socket.counters(in: egress) : []
    let learned =
      try socket.elements(of: Grants.raw4, in: name).count
      + socket.elements(of: Grants.raw6, in: name).count
    let counters = try socket.counters(in: name)
    var state = FenceState(
      isOwned: own.isOwned && own.isPersistent,
      denied: counters.packets("denied") ?? 0, frames: frames.packets("frames") ?? 0,
      learned: UInt32(clamping: learned))
    state.audited = counters.packets("audited")
    state.canary = prove()
    return state
  }

  // MARK: - Proof

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
      try? channel.send(Numbered(number: 0, content: KeeperReply.canary(state)).bytes)
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
    let outcome: String
    do {
      try socket.claim(settings.tables(rules), ownership: settings.ownership)
      outcome = "made anew"
    } catch { outcome = "NOT made anew: \(error)" }
    try channel.send(Numbered(number: 0, content: KeeperReply.changed("\(what); \(outcome)")).bytes)
  }
}

extension KeeperSettings {
  /// The same with the rules that count a canary's packets.
  fileprivate func proved(by canary: Canary.Mark?) -> KeeperSettings {
    var settings = self
    settings.canary = canary
    return settings
  }
}

/// The table is there and does not do what it is for.
struct NotProved: Error, CustomStringConvertible {
  var description: String {
    "a packet that it has to deny was not counted by it, so something else decides before it. See what does with "
      + "'nft list ruleset' and take it away; the table itself stays and is closed."
  }
}

extension [RuleCounter] {
  /// Of the rules with a comment, the sum; nil where there is none.
  fileprivate func packets(_ comment: String) -> UInt64? {
    let counted = filter { $0.comment == comment }
    return counted.isEmpty ? nil : counted.reduce(0) { $0 + $1.packets }
  }
}

extension StoredElement {
  fileprivate func hasMark(of marks: Set<UInt32>) -> Bool {
    guard case .number(let mark)? = data else { return false }
    return marks.contains(mark)
  }
}
