import Confinement
import Control
import Gateway
import Glibc
import SystemPackage

/// Giving up what a gate does not need, once it has read what it starts with
/// and before it hears of the network.
struct GateConfinement {
  /// Whom it becomes; nil: it stays who it is.
  var identity: Identity?
  /// What it keeps of the capabilities that it has.
  var capabilities: Capabilities = []
  /// Files whose directories are made where they are missing, for `identity`.
  var made: [String] = []
  /// Whether the start is refused where system calls cannot be filtered.
  var needsFilter = false

  /// The directories that the gate writes in: of its log and its control socket.
  static func writable(_ configuration: GateConfiguration) -> [String] {
    Set([configuration.auditLogPath, configuration.controlPath, configuration.overlay].map(directory))
      .sorted()
  }

  /// Confines the gate that `configuration` starts.
  func apply(to configuration: inout GateConfiguration, environment: [String: String]) {
    let writable = Self.writable(configuration)
    configuration.confine = { [self] (sockets) throws(StartError) in
      for path in made { makeDirectories(above: path) }
      if let identity, geteuid() == 0 {
        for path in made { _ = chown(directory(of: path), identity.user, identity.group) }
      }
      do throws(ConfinementError) {
        return try confine(writable, sockets, notice: environment["NOTIFY_SOCKET"])
      } catch { throw StartError(exitStatus: 69, problems: ["the gate cannot be confined: \(error)"]) }
    }
  }

  /// - Returns: What the kernel cannot hold to.
  private func confine(
    _ writable: [String], _ sockets: [String], notice: String?
  ) throws(ConfinementError) -> [String] {
    let outcome = try Confinement.apply(
      .gate(
        writable: writable, sockets: sockets, capabilities: capabilities,
        identity: identity == .current ? nil : identity,
        reachesAbstractSockets: notice?.hasPrefix("@") ?? false))
    guard outcome.isFiltered || !needsFilter else {
      throw ConfinementError.refused(step: "filter system calls", .noFunction)
    }
    return outcome.warnings
  }
}

extension ProcessStatus {
  /// What the kernel says of all threads of a process; nil when it is gone.
  ///
  /// - Parameter writes: The directories to which Landlock holds its writing;
  ///   nil where it does not. The kernel tells nobody.
  init?(_ role: String, _ pid: Int32, writes: [String]?) {
    guard let report = ProcessReport.weakest(of: pid) else { return nil }
    self.init(
      role: role, pid: pid, user: report.identity.user,
      capabilities: report.capabilities.permitted.description,
      hasNoNewPrivileges: report.hasNoNewPrivileges, isFiltered: report.isFiltered, writes: writes)
  }
}
