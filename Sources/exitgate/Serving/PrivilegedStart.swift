import Addressing
import Confinement
import Control
import EventLoop
import Firewall
import Gateway
import Glibc
import Keeper
import Policy
import SystemPackage

/// What a start with privileges does before the gate gives them up: it looks
/// what the kernel can, opens what needs a capability, and starts the keeper.
struct PrivilegedStart {
  private let options: FenceOption
  private let acceptsWeaker: Bool
  /// Files whose directories are made where they are missing.
  private let made: [String]

  init(_ options: FenceOption, acceptWeaker: Bool, made: [String]) {
    (self.options, acceptsWeaker, self.made) = (options, acceptWeaker, made)
  }

  /// Completes the configuration with the fence and the way to give up what is not needed.
  ///
  /// - Throws: When the host lacks something; nothing has changed then.
  func prepare(_ configuration: inout GateConfiguration, environment: [String: String]) throws(Failure) {
    guard Capabilities.ofThisThread.contains(.netAdmin) else {
      throw Failure(
        .host, "CAP_NET_ADMIN is missing. Run as root, or give the container the NET_ADMIN capability.")
    }
    let identity: Identity
    do { identity = try options.identity() } catch { throw Failure(.usage, "\(error)") }
    let settings = try settings(for: identity)
    let packets: PacketLog
    let keeper: KeeperProcess
    do {
      packets = try PacketLog(group: options.logGroup)
      keeper = try KeeperProcess.start { channel in Keeper.run(channel, settings) }
    } catch { throw Failure(.host, "\(error)") }
    configuration.fence = KeeperLink(keeper, packets: packets)
    configuration.onFenceEnd = { exit(70) }
    configuration.exemption = (
      "user \(settings.gateUID)" + (settings.gateGroup.map { " in control group /\($0.path)" } ?? ""),
      settings.gateGroup == nil
    )
    configuration.processes = { [keeper = keeper.pid] in
      [("gate", getpid()), ("keeper", keeper)].compactMap(ProcessStatus.init)
    }
    configuration.confine = confinement(configuration, identity, environment)
  }

  private func settings(for identity: Identity) throws(Failure) -> KeeperSettings {
    guard identity.user != 0 else {
      throw Failure(
        .usage, "the gate cannot be exempt as root, which the agent may be too. Name another --user.")
    }
    let findings: [KernelProbe.Finding], group: ControlGroup?
    do throws(NetfilterError) {
      findings = try KernelProbe.run(.sidecar)
      group = try exemption()
    } catch { throw Failure(.host, "\(error)") }
    let missing = findings.filter { $0.isRequired && !$0.isSupported }
    guard missing.isEmpty else {
      let names = missing.map { "\($0.feature) (\($0.loss))" }.joined(separator: "; ")
      throw Failure(.host, "the kernel lacks \(names). Use one that is built with it.")
    }
    guard group != nil || acceptsWeaker else {
      throw Failure(
        .host,
        "the gate has no control group of its own, so whoever becomes user \(identity.user) in the agent's "
          + "container would be exempt too. Start it in a group of its own, or say --accept-weaker-exemption."
      )
    }
    let owns = !findings.contains { !$0.isSupported && $0.feature.contains("owner") }
    return KeeperSettings(
      gateUID: identity.user, gateGroup: group, transparentPort: options.transparentPort,
      dnsPort: options.dnsPort, proxyPort: options.proxyPort, inboundPorts: options.inbound,
      logGroup: options.logGroup, devices: Self.devices(), ownership: owns ? .ownedPersistent : .plain)
  }

  /// The group by which the gate alone is told apart; nil where others stay in it.
  ///
  /// A probe of a container's health is in its group too, for a moment: of
  /// whoever else is there, it is asked again for two seconds.
  private func exemption() throws(NetfilterError) -> ControlGroup? {
    for _ in 0..<20 {
      guard case .matches(let group, let others) = try CgroupProbe.run() else { return nil }
      if others.isEmpty { return group }
      usleep(100_000)
    }
    return nil
  }

  /// Every device but the loopback.
  private static func devices() -> [String] {
    networkDevices().filter { $0 != "lo" }.sorted()
  }

  /// Becomes the user and keeps nothing that a gate does not need.
  private func confinement(
    _ configuration: GateConfiguration, _ identity: Identity, _ environment: [String: String]
  ) -> @Sendable () throws(StartError) -> Void {
    let directories = [configuration.auditLogPath, configuration.controlPath].map(directory)
    let reaches = environment["NOTIFY_SOCKET"]?.hasPrefix("@") ?? false
    let notice = environment["NOTIFY_SOCKET"].map { [directory(of: $0)] } ?? []
    let made = made
    return { () throws(StartError) in
      for path in made { makeDirectories(above: path) }
      for path in made where geteuid() == 0 { _ = chown(directory(of: path), identity.user, identity.group) }
      do throws(ConfinementError) {
        let profile = ConfinementProfile.gate(
          writable: directories + notice, identity: identity == .current ? nil : identity,
          reachesAbstractSockets: reaches)
        let outcome = try Confinement.apply(profile)
        guard outcome.isFiltered else {
          throw ConfinementError.refused(step: "filter system calls", .noFunction)
        }
      } catch { throw StartError(exitStatus: 69, problems: ["the gate cannot be confined: \(error)"]) }
    }
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

  /// Loopback addresses of both families, where there are both.
  private var loopback: [IPAddress] {
    let all: [IPAddress] = [.v4(0x7f00_0001), .v6(high: 0, low: 1)]
    let own = localAddresses()
    return all.filter { $0.isV4 || own.contains($0) }
  }

  private func endpoints(_ number: UInt16) -> [Endpoint] {
    Port(number).map { port in loopback.map { Endpoint($0, port) } } ?? []
  }

  /// Listeners for what the table redirects to `port`.
  func captures(_ port: UInt16) -> [CaptureSettings] {
    endpoints(port).map { CaptureSettings($0, .redirect, agent: agent) }
  }

  /// Where programs with proxy settings find the proxy.
  var proxyListeners: [ListenAddress] { endpoints(proxyPort).map(ListenAddress.tcp) }
}

extension ProcessStatus {
  /// What the kernel says of all threads of a process; nil when it is gone.
  fileprivate init?(_ role: String, _ pid: Int32) {
    guard let report = ProcessReport.weakest(of: pid) else { return nil }
    self.init(
      role: role, pid: pid, user: report.identity.user,
      capabilities: report.capabilities.permitted.description,
      hasNoNewPrivileges: report.hasNoNewPrivileges, isFiltered: report.isFiltered)
  }
}
