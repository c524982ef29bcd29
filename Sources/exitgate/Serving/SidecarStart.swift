import Confinement
import EventLoop
import Firewall
import Gateway
import Glibc
import Keeper

extension PrivilegedStart {
  /// Fences the agent in that shares this network namespace.
  ///
  /// - Parameters:
  ///   - inbound: TCP ports on which others may connect to the agent.
  ///   - acceptsWeaker: Whether the user alone may exempt the gate.
  /// - Throws: When the host lacks something; nothing has changed then.
  func prepareSidecar(
    _ configuration: inout GateConfiguration, inbound: [UInt16], acceptsWeaker: Bool,
    environment: [String: String]
  ) throws(Failure) {
    let identity = try identity()
    guard identity.user != 0 else {
      throw Failure(
        .usage, "the gate cannot be exempt as root, which the agent may be too. Name another --user.")
    }
    let ownership = try ownership(.sidecar)
    let group: ControlGroup?
    do { group = try exemption() } catch { throw Failure(.host, "\(error)") }
    guard group != nil || acceptsWeaker else {
      throw Failure(
        .host,
        "the gate has no control group of its own, so whoever becomes user \(identity.user) in the agent's "
          + "container would be exempt too. Start it in a group of its own, or say --accept-weaker-exemption."
      )
    }
    configuration.exemption = (
      "user \(identity.user)" + (group.map { " in control group /\($0.path)" } ?? ""), group == nil
    )
    // Before they are listed: one that comes from then on is heard of.
    let watch: LinkWatch
    do { watch = try LinkWatch() } catch { throw Failure(.host, "\(error)") }
    let own = FencedSide.Sidecar(
      gateUID: identity.user, gateGroup: group, inboundPorts: inbound, devices: Self.uplinks())
    try raise(
      .sidecar(own), ownership, for: identity, &configuration, environment: environment, links: watch)
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
  static func uplinks() -> [String] {
    networkDevices().filter { $0 != "lo" }.sorted()
  }
}
