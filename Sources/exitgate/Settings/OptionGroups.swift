import Addressing
import ArgumentParser

/// Where a running gate is spoken to.
struct ControlOption: ParsableArguments {
  @Option(help: ArgumentHelp("The control socket of the gate.", valueName: "path"), completion: .file())
  var control: String?

  func path(in here: Surroundings) -> String { control ?? here.paths.control }
}

/// Which log is read.
struct AuditLogOption: ParsableArguments {
  @Option(help: ArgumentHelp("The audit log.", valueName: "file"), completion: .file())
  var auditLog: String?

  func path(in here: Surroundings) -> String { auditLog ?? here.paths.auditLog }
}

/// Which policy counts.
struct PolicyOption: ParsableArguments {
  @Option(
    help: ArgumentHelp("The policy.", valueName: "file"), completion: .file(extensions: ["yaml", "yml"]))
  var policy: String?

  func path(in here: Surroundings) -> String { policy ?? here.paths.policy }
}

/// Which resolvers are asked.
struct UpstreamOption: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "A resolver to ask instead of those in /etc/resolv.conf. Can be repeated.", valueName: "address[:port]"),
    transform: Reading.resolver)
  var dnsUpstream: [Endpoint] = []
}
