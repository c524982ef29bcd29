import Addressing

/// What no policy opens, as this machine and this process make it concrete.
public struct Floor: Sendable {
  /// The addresses of every interface.
  public var localAddresses: Set<IPAddress>
  /// What the gate itself listens on; an unspecified address stands for every
  /// local one.
  public var listeners: [Endpoint]
  /// The resolvers it asks.
  public var resolvers: Set<Endpoint>

  /// Makes a floor.
  public init(
    localAddresses: Set<IPAddress> = [], listeners: [Endpoint] = [], resolvers: Set<Endpoint> = []
  ) {
    self.localAddresses = localAddresses
    self.listeners = listeners
    self.resolvers = resolvers
  }
}
