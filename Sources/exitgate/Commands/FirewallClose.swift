import ArgumentParser
import EventLoop
import Firewall

/// `exitgate firewall close`
struct FirewallClose: Verb {
  static let configuration = CommandConfiguration(
    commandName: "close",
    abstract: "Close this network namespace until a gate takes over.",
    discussion: """
      For hosts that start the agent and its gate side by side, where the agent could be first: run this before \
      both, with CAP_NET_ADMIN. Nothing leaves the namespace then; 'exitgate sidecar' puts its own table in the \
      place of this one in one step, and 'exitgate firewall remove' takes it away.

        exitgate firewall close

      Exit status: 0 when the namespace is closed, also by a gate that runs; 69 when the host lacks something.
      """)

  @Option(help: ArgumentHelp("The NFLOG group that denied packets are sampled to.", valueName: "number"))
  var logGroup: UInt16 = 5

  func run(in here: Surroundings) throws(Failure) -> Int32 {
    do throws(NetfilterError) {
      let findings = try KernelProbe.run(.sidecar)
      let owns = !findings.contains { !$0.isSupported && $0.feature.contains("owner") }
      let devices = networkDevices().filter { $0 != "lo" }.sorted()
      let tables =
        [ClosedTable(logGroup: logGroup).table]
        + (devices.isEmpty ? [] : [EgressTable(devices: devices).table])
      try NetfilterSocket().claim(tables, ownership: owns ? .ownedPersistent : .plain)
      here.console.say("exitgate: closed; nothing gets out until a gate is there")
    } catch {
      guard error.problem == .ownedByAnother else { throw Failure(.host, "\(error)") }
      here.console.say("exitgate: a gate that runs keeps its table here already")
    }
    return 0
  }
}
