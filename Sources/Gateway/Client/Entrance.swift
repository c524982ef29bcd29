import Addressing
import Audit
import EventLoop
import Policy

/// A listener as its clients see it.
struct Entrance: Sendable {
  /// What it is bound to, as the policy and the flags name it.
  let address: ListenAddress
  /// The authorities under which clients may name the gate itself in a Host field.
  private let authorities: [Authority]
  /// Whether it listens on every address of the machine.
  private let isEverywhere: Bool

  init(_ address: ListenAddress) {
    self.address = address
    isEverywhere =
      if case .tcp(let endpoint) = address { endpoint.address.addressClass == .unspecified } else { false }
    switch address {
    case .tcp(let endpoint):
      authorities = [Authority(.address(endpoint.address), endpoint.port)] + Self.localhost(endpoint)
    case .unix: authorities = []
    }
  }

  /// The authorities under which a client may name the gate that came by `local`.
  func authorities(at local: @autoclosure () -> Endpoint?) -> [Authority] {
    guard isEverywhere, let local = local() else { return authorities }
    return authorities + [Authority(.address(local.address), local.port)] + Self.localhost(local)
  }

  private static func localhost(_ endpoint: Endpoint) -> [Authority] {
    guard endpoint.address.addressClass == .loopback, let name = try? Hostname("localhost") else { return [] }
    return [Authority(.name(name), endpoint.port)]
  }

  func origin(of agent: AgentName, on channel: Channel, layer: Layer) -> Origin {
    Origin(
      agent: agent, client: channel.remoteEndpoint?.description ?? "unix", listener: address.description,
      layer: layer)
  }
}
