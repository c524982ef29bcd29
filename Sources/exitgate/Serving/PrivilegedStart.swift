import Addressing
import Confinement
import Control
import EventLoop
import Firewall
import Gateway
import Glibc
import Keeper
import Policy

/// What a start with privileges does before the gate gives them up: it looks
/// what the kernel can, opens what needs a capability, and starts the keeper.
struct PrivilegedStart {
  let options: FenceOption
  /// Files whose directories are made where they are missing.
  private let made: [String]

  init(_ options: FenceOption, made: [String]) {
    (self.options, self.made) = (options, made)
  }

  /// Whom the gate becomes.
  ///
  /// - Throws: Where the capability is missing, which all else needs.
  func identity() throws(Failure) -> Identity {
    guard Capabilities.ofThisThread.contains(.netAdmin) else {
      throw Failure(
        .host, "CAP_NET_ADMIN is missing. Run as root, or give the container the NET_ADMIN capability.")
    }
    let identity: Identity
    do { identity = try options.identity() } catch { throw Failure(.usage, "\(error)") }
    try requireChange(to: identity)
    return identity
  }

  /// Refuses where this process may not become whom it has to become.
  private func requireChange(to identity: Identity) throws(Failure) {
    let steps: [(isNeeded: Bool, capability: Capabilities, name: String, thing: String)] = [
      (geteuid() != identity.user, .setuid, "SETUID", "user \(identity.user)"),
      (getegid() != identity.group, .setgid, "SETGID", "group \(identity.group)"),
    ]
    for step in steps where step.isNeeded && !Capabilities.ofThisThread.contains(step.capability) {
      throw Failure(
        .host,
        "CAP_\(step.name) is missing, without which the gate cannot become \(step.thing). Give the container the "
          + "\(step.name) capability, or start the gate as that \(step.thing.prefix { $0 != " " }).")
    }
  }

  /// Looks whether the kernel has all that a table needs.
  ///
  /// - Returns: How the table can be tied to its keeper.
  func ownership(_ mode: KernelProbe.Mode) throws(Failure) -> Ownership {
    let findings: [KernelProbe.Finding]
    do { findings = try KernelProbe.run(mode) } catch { throw Failure(.host, "\(error)") }
    let missing = findings.filter { $0.isRequired && !$0.isSupported }
    guard missing.isEmpty else {
      let names = missing.map { "\($0.feature) (\($0.loss))" }.joined(separator: "; ")
      throw Failure(.host, "the kernel lacks \(names). Use one that is built with it.")
    }
    return findings.contains { !$0.isSupported && $0.feature.contains("owner") } ? .plain : .ownedPersistent
  }

  /// Completes the configuration with the fence and the way to give up what is not needed.
  ///
  /// - Parameter links: What tells the keeper of the links that agents are behind.
  /// - Throws: When the host lacks something; nothing has changed then.
  func raise(
    _ side: FencedSide, _ ownership: Ownership, for identity: Identity,
    _ configuration: inout GateConfiguration, environment: [String: String], links: LinkWatch? = nil
  ) throws(Failure) {
    var settings = KeeperSettings(
      side, transparentPort: options.transparentPort, dnsPort: options.dnsPort, proxyPort: options.proxyPort,
      logGroup: options.logGroup, ownership: ownership,
      hasIPv6: localAddresses().contains(.v6(high: 0, low: 1)))
    settings.fit(.ofThisHost)
    let packets: PacketLog
    let keeper: KeeperProcess
    do {
      packets = try PacketLog(group: options.logGroup)
      keeper = try KeeperProcess.start(keeping: links?.descriptors ?? []) { [settings] channel in
        Keeper.run(channel, settings, links: links)
      }
    } catch { throw Failure(.host, "\(error)") }
    configuration.fence = KeeperLink(keeper, packets: packets)
    configuration.onFenceEnd = { exit(70) }
    let writes = Landlock.abi.map { _ in GateConfinement.writable(configuration) }
    configuration.processes = { [keeper = keeper.pid] in
      [
        ProcessStatus("gate", getpid(), writes: writes),
        ProcessStatus("keeper", keeper, writes: writes.map { _ in [] }),
      ].compactMap(\.self)
    }
    GateConfinement(identity: identity, made: made, needsFilter: true)
      .apply(to: &configuration, environment: environment)
  }
}

extension Identity {
  /// Whom a gate becomes that starts as root and is not told.
  static func gate() -> Identity {
    let users = UserTable.system()
    return (try? users.find("exitgate")) ?? (try? users.find("2001")) ?? Identity(user: 2001, group: 2001)
  }
}

extension FenceOption {
  /// Whom the gate becomes. An ordinary user with the capability stays who it is.
  func identity() throws(ConfinementError) -> Identity {
    if let user { return try UserTable.system().find(user) }
    return geteuid() == 0 ? .gate() : .current
  }
}

extension FlowRoom {
  /// What the kernel says as soon as it tracks connections.
  static var ofThisHost: FlowRoom { FlowRoom(most: setting("net/netfilter/nf_conntrack_max").first) }

  /// What agents lack of it, in words; nil where it is enough.
  func warning(agents: Int) -> String? {
    let limit = limit(agents: agents)
    guard let most, limit < GatewayTable.flowsPerAgent else { return nil }
    return
      "net.netfilter.nf_conntrack_max is \(most), so each of \(agents) agents has at most \(limit) tracked flows in place of "
      + "\(GatewayTable.flowsPerAgent). Set it on the host: sysctl -w net.netfilter.nf_conntrack_max=\(Self.wanted(agents: agents))"
  }
}
