import Addressing
import Audit
import EventLoop
import Policy

/// A listener as its clients see it.
struct Entrance: Sendable {
  /// What it is bound to, as the policy and the flags name it.
  let address: ListenAddress
  /// The authorities under which clients may name the gate itself in a Host field.
  let authorities: [Authority]

  init(_ address: ListenAddress) {
    self.address = address
    switch address {
    case .tcp(let endpoint):
      authorities = [Authority(.address(endpoint.address), endpoint.port)] + Self.localhost(endpoint)
    case .unix: authorities = []
    }
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
