import Addressing
import ArgumentParser
import Gateway
import Policy
import PolicyFile

/// `exitgate gateway`
struct GatewayCommand: Verb {
  static let configuration = CommandConfiguration(
    commandName: "gateway",
    abstract: "Be the only way out of agents behind a veth or tap.",
    discussion: """
      Starts with CAP_NET_ADMIN in the network namespace that agents are routed through, be they microVMs behind \
      a tap or containers behind a veth. A table in the kernel hands every TCP connection and every question to \
      port 53 that comes in by an enrolled interface to the gate, forwards what a rule of 'protocol: udp' grants, \
      and refuses the rest, for IPv4 and IPv6 alike: to the world, to other agents and to the gateway itself. An \
      agent needs this host as its default route, and no proxy settings.

        exitgate gateway --policy policy.yaml --interface tap0
        exitgate gateway --policy policy.yaml --interface veth-ci=ci --interface veth-dev=dev

      The interface tells who an agent is, which it cannot forge; rules name it with 'agents: [ci]'. Agents on \
      one bridge reach each other on it, so give each an interface of its own. An interface that goes away, \
      comes anew or gets another name is closed until the gateway is started anew; 'exitgate status' says so.

      Everything works with net.ipv4.ip_forward off but for rules of 'protocol: udp'. Their flows leave with the \
      gateway's address. The gate becomes an unprivileged user at once; a second process keeps CAP_NET_ADMIN and \
      nothing else.

      The table stays when the gate ends, however it ends, and with it everything stays closed; \
      'exitgate firewall remove' opens it. SIGHUP reads the policy anew without a gap.

      Exit status: 65 for a wrong policy, 69 when the host lacks something, named, 78 for an address in use, a \
      log that cannot be written, or no resolver.
      """)

  @OptionGroup var links: LinkOption
  @OptionGroup var service: FencedServiceOption

  func validate() throws {
    if links.interface.isEmpty {
      throw ValidationError("no agent. Name the interface that it is behind with --interface IF.")
    }
  }

  func run(in here: Surroundings) throws(Failure) -> Int32 {
    var configuration = try service.configuration(.gateway, in: here)
    let privileged = PrivilegedStart(service.fence, made: service.made(in: here))
    try privileged.prepareGateway(&configuration, links, environment: here.environment)
    try Service(configuration, environment: here.environment).run()
  }
}
