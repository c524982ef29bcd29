import Addressing
import Confinement
import EventLoop
import Firewall
import Gateway
import Glibc
import Keeper
import Policy

extension PrivilegedStart {
  /// Fences the agents in that are behind links of this network namespace.
  ///
  /// - Throws: When the host lacks something; nothing has changed then.
  func prepareGateway(
    _ configuration: inout GateConfiguration, _ option: LinkOption, environment: [String: String]
  ) throws(Failure) {
    let identity = try identity()
    guard identity.user != 0 else {
      throw Failure(
        .usage, "the gate reads what agents send, and does not do so as root. Name another --user.")
    }
    let ownership = try ownership(.gateway)
    // Before they are looked for: whatever becomes of one from then on is heard of.
    let watch: LinkWatch
    do { watch = try LinkWatch() } catch { throw Failure(.host, "\(error)") }
    let links = try enrolled(option.interface)
    try checkSettings(of: links)
    enrol(links, &configuration)
    let side = option.agents.map { agent in
      links.filter { $0.agent == agent }.map { link in
        GatewayTable.Link(link.name, index: link.index, addresses: link.proxyAddresses)
      }
    }
    configuration.fencedAgents = option.agents
    configuration.hostWarnings = [FlowRoom.ofThisHost.warning(agents: side.count)].compactMap(\.self)
    try raise(
      .gateway(side), ownership, for: identity, &configuration, environment: environment, links: watch)
  }

  /// Finds the interfaces, each of which is to be one that an agent's packets come by.
  private func enrolled(_ interfaces: [EnrolledInterface]) throws(Failure) -> [FencedLink] {
    let all: [NetworkLink]
    do { all = try NetworkLink.all() } catch { throw Failure(.host, "\(error)") }
    guard all.contains(where: { $0.name == "lo" && $0.isUp }) else {
      throw Failure(
        .host,
        "the loopback device is down, by which captured packets are delivered. Set it up: ip link set lo up")
    }
    var links: [FencedLink] = []
    for interface in interfaces {
      guard let link = all.first(where: { $0.name == interface.name }) else {
        let others = all.map(\.name).filter { $0 != "lo" }.joined(separator: ", ")
        throw Failure(
          .host,
          "there is no interface \(interface.name) here. Make it first, or name one of: \(others). In a container "
            + "or namespace of its own the gateway sees only the interfaces there.")
      }
      if let master = all.first(where: { $0.index == link.master }) {
        throw Failure(
          .host,
          "\(interface.name) is a port of \(master.name), so its packets come in by \(master.name). Name that, or "
            + "take the interface out of it: ip link set \(interface.name) nomaster")
      }
      links.append(FencedLink(link.name, index: link.index, agent: interface.agent))
    }
    return links
  }

  /// Settings that would make the kernel drop what was captured.
  private func checkSettings(of links: [FencedLink]) throws(Failure) {
    // fib_validate_source() looks the source up under the packet's mark then, and finds it to be this host's own.
    for name in ["all"] + links.map(\.name) {
      let key = "net/ipv4/conf/\(name)/src_valid_mark"
      guard setting(key).first == 1 else { continue }
      throw Failure(
        .host,
        "\(key) is 1, with which the kernel drops captured packets. Set it to 0: sysctl -w \(key)=0")
    }
  }

  /// Has the gate listen for each link.
  private func enrol(_ links: [FencedLink], _ configuration: inout GateConfiguration) {
    configuration.fencedLinks = links
    for link in links {
      configuration.captures += options.captures(
        options.transparentPort, .tproxy, device: link.name, agent: link.agent)
      configuration.nameCaptures += options.captures(
        options.dnsPort, .tproxy, device: link.name, agent: link.agent)
      if let port = Port(options.proxyPort) {
        listen(for: link, at: link.proxyAddresses.map { .tcp(Endpoint($0, port)) }, &configuration)
      }
    }
  }

  /// An address that two links have is bound to neither; then the table alone says who may come by which.
  private func listen(
    for link: FencedLink, at addresses: [ListenAddress], _ configuration: inout GateConfiguration
  ) {
    for address in addresses {
      let isFirst = !configuration.proxyListeners.contains(address)
      configuration.proxyDevices[address] = isFirst ? link.name : nil
      if isFirst { configuration.proxyListeners.append(address) }
    }
  }
}

extension FencedLink {
  /// Where the explicit proxy answers: it tells nobody from the default agent.
  var proxyAddresses: [IPAddress] {
    guard agent == .default else { return [] }
    let all = localAddresses(on: name).filter { $0.addressClass != .metadata }.sorted()
    // An IPv6 address cannot be listened on in its first seconds, and one of the two families does.
    let four = all.filter(\.isV4)
    return four.isEmpty ? all : four
  }
}
