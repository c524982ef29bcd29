import Addressing
import ArgumentParser
import Gateway
import Policy
import PolicyFile

/// `exitgate sidecar`
struct Sidecar: Verb {
  static let configuration = CommandConfiguration(
    commandName: "sidecar",
    abstract: "Share an agent's network namespace and be its only way out.",
    discussion: """
      Starts with CAP_NET_ADMIN in the network namespace of the agent: a pod, a container's network, a \
      namespace. A table in the kernel then redirects every TCP connection and every question to port 53 to \
      the gate, lets pass what a rule of 'protocol: udp' grants, and drops the rest, for IPv4 and IPv6 alike. \
      The agent needs no proxy settings. The table is in force before anybody is listened to.

        exitgate sidecar --policy policy.yaml
        exitgate sidecar --policy policy.yaml --inbound 8080      others may connect to the agent there

      The gate becomes an unprivileged user at once; a second process keeps CAP_NET_ADMIN and nothing else. \
      Only the gate's own traffic is exempt: by its user, which nobody else may have, and its control group. \
      Where it has no control group of its own, the user alone remains, and the start is refused without \
      --accept-weaker-exemption.

      Under 'mode: audit' what the table would deny passes and is recorded, and only the floor denies; the start \
      and 'exitgate status' say so.

      The table stays when the gate ends, however it ends, and with it everything stays closed; \
      'exitgate firewall remove' opens it. SIGHUP reads the policy anew without a gap.

      Exit status: 65 for a wrong policy, 69 when the host lacks something, named, 78 for an address in use, a \
      log that cannot be written, or no resolver.
      """)

  @OptionGroup var own: SidecarOption
  @OptionGroup var service: FencedServiceOption

  @Flag(help: "Start although others could be exempt too: those of the gate's user.")
  var acceptWeakerExemption = false

  func validate() throws {
    try own.check(against: service.fence)
  }

  func run(in here: Surroundings) throws(Failure) -> Int32 {
    var configuration = try service.configuration(.sidecar, in: here)
    let fence = service.fence
    if own.agent == .default {
      configuration.proxyListeners = loopbackEndpoints(fence.proxyPort).map(ListenAddress.tcp)
    }
    configuration.fencedAgents = [own.agent]
    configuration.captures = fence.captures(fence.transparentPort, .redirect, agent: own.agent)
    configuration.nameCaptures = fence.captures(fence.dnsPort, .redirect, agent: own.agent)
    let privileged = PrivilegedStart(fence, made: service.made(in: here))
    try privileged.prepareSidecar(
      &configuration, inbound: own.inbound, acceptsWeaker: acceptWeakerExemption,
      environment: here.environment)
    // A wrong policy is the gate's to tell.
    configuration.firstPolicy = try? configuration.loadPolicy(generation: 1)
    Witness.begin(for: &configuration)
    try Service(configuration, environment: here.environment).run()
  }
}
