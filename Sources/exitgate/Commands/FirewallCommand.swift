import Addressing
import ArgumentParser
import Confinement
import EventLoop
import Firewall
import Gateway
import Keeper
import Policy
import PolicyFile

/// `exitgate firewall`
struct FirewallCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "firewall",
    abstract: "Show the kernel's table, close a namespace by one, or take it away.",
    subcommands: [FirewallPrint.self, FirewallClose.self, FirewallRemove.self])
}

/// `exitgate firewall print`
struct FirewallPrint: Verb {
  static let configuration = CommandConfiguration(
    commandName: "print",
    abstract: "Print the tables that 'sidecar' or 'gateway' would put in force, in the language of nft(8).",
    discussion: """
      Nothing is changed, and no privilege is needed. With --policy the rules of 'protocol: udp' about addresses \
      are in it. The real tables also name the gate's control group, and a block of IPv6 addresses that is drawn \
      anew at each start; here it is fd00::/48.

        exitgate firewall print --policy policy.yaml | less
        exitgate firewall print --policy policy.yaml --interface veth-ci=ci

      With --interface it is the gateway's table, which stands beside the routing of captured packets, printed \
      in front of it.

      'nft list table inet exitgate' shows what the kernel holds.
      """)

  @Option(
    help: ArgumentHelp("A policy whose rules the table is to hold.", valueName: "file"),
    completion: .file(extensions: ["yaml", "yml"]))
  var policy: String?
  @OptionGroup var fence: FenceOption
  @OptionGroup var own: SidecarOption
  @OptionGroup var links: LinkOption

  func validate() throws { try own.check(against: fence) }

  func run(in here: Surroundings) throws(Failure) -> Int32 {
    let side = try side(in: here)
    var settings = KeeperSettings(
      side, transparentPort: fence.transparentPort, dnsPort: fence.dnsPort, proxyPort: fence.proxyPort,
      logGroup: fence.logGroup, ownership: .ownedPersistent)
    settings.fit(.ofThisHost)
    let agents = links.interface.isEmpty ? [own.agent] : links.agents
    let policy = try loaded(in: here)
    if case .gateway = side {
      for command in PolicyRouting.commands { here.console.result("# \(command)") }
    }
    for table in KernelPreview.rules(of: policy, agents: agents).map(settings.tables) ?? [] {
      for line in table.text.split(separator: "\n", omittingEmptySubsequences: false) {
        here.console.result(Text(String(line)))
      }
    }
    return 0
  }

  private func side(in here: Surroundings) throws(Failure) -> FencedSide {
    guard links.interface.isEmpty else {
      let all = (try? NetworkLink.all()) ?? []
      return .gateway(
        links.agents.map { agent in
          links.interface.filter { $0.agent == agent }.map { interface in
            let index = all.first { $0.name == interface.name }?.index ?? 0
            let own = FencedLink(interface.name, index: index, agent: agent)
            return GatewayTable.Link(own.name, index: index, addresses: own.proxyAddresses)
          }
        })
    }
    let identity: Identity
    do { identity = try fence.identity() } catch { throw Failure(.usage, "\(error)") }
    return .sidecar(
      .init(
        gateUID: identity.user, gateGroup: nil, inboundPorts: own.inbound, devices: PrivilegedStart.uplinks())
    )
  }

  private func loaded(in here: Surroundings) throws(Failure) -> Policy {
    guard let policy else { return Policy() }
    let loader = PolicyLoader(
      runMode: links.interface.isEmpty ? .sidecar : .gateway, environment: here.environment,
      workingDirectory: here.workingDirectory, now: .now(),
      hasDNSListener: true)
    do { return try loader.load(path: policy).policy } catch {
      throw Failure(.policy, error.diagnostics.first.map(\.description) ?? "the policy is wrong.")
    }
  }
}

/// `exitgate firewall remove`
struct FirewallRemove: Verb {
  static let configuration = CommandConfiguration(
    commandName: "remove",
    abstract: "Take away what a gate left in this network namespace, and open it.",
    discussion: """
      A gate leaves its tables in place when it ends, so that nothing gets out without it. This takes them away, \
      and the routing of captured packets that a gateway has beside its table. \
      Those of a gate that runs cannot be taken: stop it first.

      Exit status: 0 when the tables are gone, also when there were none; 69 when they cannot be taken away.
      """)

  func run(in here: Surroundings) throws(Failure) -> Int32 {
    do throws(NetfilterError) {
      let socket = try NetfilterSocket()
      var removed = 0
      for name in [TableName(.inet, "exitgate"), TableName(.netdev, "exitgate")] {
        do { try socket.remove(name) } catch {
          if error.problem == .absent { continue }
          throw error
        }
        removed += 1
      }
      if try PolicyRouting(withIPv6: true).remove() { removed += 1 }
      here.console.say(
        removed == 0
          ? "exitgate: there is no table of a gate here" : "exitgate: removed; everything gets out again")
    } catch { throw Failure(.host, "\(error)") }
    return 0
  }
}
