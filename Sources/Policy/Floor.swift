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
  /// The blocks that stand for names: an address there that has no name leads nowhere.
  public var synthetic: [IPPrefix] = []

  /// Makes a floor.
  public init(
    localAddresses: Set<IPAddress> = [], listeners: [Endpoint] = [], resolvers: Set<Endpoint> = []
  ) {
    self.localAddresses = localAddresses
    self.listeners = listeners
    self.resolvers = resolvers
  }
}

extension Floor {
  /// Why no rule can open `address` at `port`; nil when a rule can.
  func denial(of address: IPAddress, _ port: Port) -> Reason? {
    denial(of: address) ?? (isOwn(address, port) ? .selfAddress : nil)
  }

  /// Why no rule can open `address` at any port; nil when one can at some.
  func denial(of address: IPAddress) -> Reason? {
    switch address.addressClass {
    case .metadata, .unspecified, .multicast, .broadcast: .specialAddress
    case .loopback, .privateUse, .reserved, .global:
      synthetic.contains { $0.contains(address) } ? .syntheticUnnamed : nil
    }
  }

  /// Whether `address` at `port` is judged as itself, whatever name a client
  /// gives it: what no rule opens, and this machine, which only a rule about
  /// the address may open.
  public func holdsFast(_ address: IPAddress, _ port: Port) -> Bool {
    denial(of: address, port) != nil || address.addressClass == .loopback || isLocal(address)
  }

  /// Whether it is what the gate itself listens on, or a resolver it asks.
  public func isGate(_ address: IPAddress, _ port: Port) -> Bool { isOwn(address, port) }

  /// Why a rule with only this `leave` does not open `address`; nil when it does.
  /// An interface's own private address takes both leaves.
  func denial(of address: IPAddress, without leave: Leave) -> Reason? {
    let addressClass = address.addressClass
    if !leave.loopback {
      if addressClass == .loopback { return .specialAddress }
      if isLocal(address) { return .selfAddress }
    }
    guard !leave.private else { return nil }
    switch addressClass {
    case .privateUse: return .privateAddress
    // Reserved for its form alone: the IPv4 address inside is a public one.
    case .reserved: return address.unwrapped.addressClass == .global ? .specialAddress : .privateAddress
    case .metadata, .loopback, .unspecified, .multicast, .broadcast, .global: return nil
    }
  }

  /// Whether the gate itself listens or resolves there. A resolver is spared on
  /// its own port and on those of DNS (RFC 1035) and DNS over TLS (RFC 7858).
  private func isOwn(_ address: IPAddress, _ port: Port) -> Bool {
    let plain = address.unwrapped
    let isListener = listeners.contains { listener in
      guard listener.port == port else { return false }
      if listener.address.addressClass == .unspecified {
        return isLocal(address) || plain.addressClass == .loopback
      }
      return listener.address.unwrapped == plain
    }
    return isListener
      || resolvers.contains { resolver in
        resolver.address.unwrapped == plain
          && (port == resolver.port || port == .domain || port == .domainOverTLS)
      }
  }

  private func isLocal(_ address: IPAddress) -> Bool {
    localAddresses.contains(address) || localAddresses.contains(address.unwrapped)
  }
}

extension IPAddress {
  /// The IPv4 address that an IPv6 address leads to, else the address itself.
  fileprivate var unwrapped: IPAddress { embeddedIPv4.map(IPAddress.v4) ?? self }
}

/// What the rule behind a decision opens beyond public addresses.
struct Leave {
  /// Private, shared and reserved addresses.
  var `private`: Bool
  /// This machine.
  var loopback: Bool

  /// A deny rule, or none, opens nothing. This machine is opened only where an
  /// exact name or a block of addresses matched: a wildcard's owner could point
  /// any name below it there.
  init(_ decision: Decision, for host: Host) {
    guard let rule = decision.rule, rule.action != .deny else {
      self = .none
      return
    }
    self.init(rule, for: host)
  }

  /// What `rule`, which denies nothing, opens for `host`.
  init(_ rule: Rule, for host: Host) {
    self.init(private: rule.allowPrivate, loopback: rule.allowLoopback && rule.namesClosely(host))
  }

  /// Nothing.
  static let none = Leave(private: false, loopback: false)

  mutating func formUnion(_ other: Leave) {
    self.private = self.private || other.private
    loopback = loopback || other.loopback
  }

  private init(private isPrivate: Bool, loopback: Bool) {
    (self.private, self.loopback) = (isPrivate, loopback)
  }
}

extension Rule {
  /// Whether an exact name or a block of addresses among `to` matches.
  fileprivate func namesClosely(_ host: Host) -> Bool {
    to.contains { pattern in
      switch pattern {
      case .exact, .prefix: pattern.matches(host)
      case .subdomains, .domain, .anyName: false
      }
    }
  }
}
