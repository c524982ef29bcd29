import Addressing
import EventLoop
import Policy
import PolicyFile

extension GateConfiguration {
  /// What a gateway should know of its policy and its host, a sentence each.
  func gatewayWarnings(_ policy: Policy) -> [String] {
    guard runMode == .gateway else { return [] }
    let strangers = fencedAgents.filter { name in
      name != .default && !policy.agents.contains { $0.name == name }
    }
    return strangers.map { name in
      "the policy declares no agent '\(name)', so only rules without 'agents' speak of it. "
        + "Write agents: { \(name): { by: interface } }"
    } + hostWarnings + [forwardingWarning(policy)].compactMap(\.self)
  }

  /// What a gateway's rules of `protocol: udp` lack of the host, in words; nil
  /// where nothing is. They open nothing by it, and everything else works.
  ///
  /// - Source: net.ipv4.ip_forward, net.ipv6.conf.all.forwarding (ip-sysctl of the kernel's documentation).
  private func forwardingWarning(_ policy: Policy) -> String? {
    guard policy.rules.contains(where: { $0.traffic == .udp && $0.action == .allow }) else { return nil }
    let addresses = localAddresses()
    let hasIPv6 = addresses.contains { !$0.isV4 && [.global, .privateUse].contains($0.addressClass) }
    let keys =
      ["net.ipv4.ip_forward"] + (hasIPv6 ? ["net.ipv6.conf.all.forwarding"] : [])
    let off = keys.filter { key in
      let path = "/proc/sys/" + key.split(separator: ".").joined(separator: "/")
      return (try? BoundedFile.read(path, limit: 16))?.first == UInt8(ascii: "0")
    }
    guard !off.isEmpty else { return nil }
    return "rules of 'protocol: udp' forward nothing while \(off.joined(separator: " and ")) is 0. Set it: "
      + off.map { "sysctl -w \($0)=1" }.joined(separator: "; ")
  }
}
