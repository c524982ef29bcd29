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
    do { return try options.identity() } catch { throw Failure(.usage, "\(error)") }
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
  /// - Throws: When the host lacks something; nothing has changed then.
  func raise(
    _ side: FencedSide, _ ownership: Ownership, for identity: Identity,
    _ configuration: inout GateConfiguration, environment: [String: String]
  ) throws(Failure) {
    let settings = KeeperSettings(
      side, transparentPort: options.transparentPort, dnsPort: options.dnsPort, proxyPort: options.proxyPort,
      logGroup: options.logGroup, ownership: ownership,
      hasIPv6: localAddresses().contains(.v6(high: 0, low: 1)))
    let packets: PacketLog
    let keeper: KeeperProcess
    do {
      packets = try PacketLog(group: options.logGroup)
      keeper = try KeeperProcess.start { channel in Keeper.run(channel, settings) }
    } catch { throw Failure(.host, "\(error)") }
    configuration.fence = KeeperLink(keeper, packets: packets)
    configuration.onFenceEnd = { exit(70) }
    configuration.processes = { [keeper = keeper.pid] in
      [("gate", getpid()), ("keeper", keeper)].compactMap(ProcessStatus.init)
    }
    configuration.confine = confinement(configuration, identity, environment)
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
