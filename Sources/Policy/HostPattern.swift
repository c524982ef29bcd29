import Addressing

/// One entry of a rule's `to`.
public enum HostPattern: Hashable, Sendable {
  /// `d`: this name alone.
  case exact(Hostname)
  /// `*.d`: one or more labels below, not `d` itself.
  case subdomains(of: Hostname)
  /// `**.d`: `d` itself and everything below.
  case domain(Hostname)
  /// `*`: every name, no address.
  case anyName
  /// `1.2.3.0/24`: addresses that the client wrote itself. No name ever
  /// matches by what it resolves to.
  case prefix(IPPrefix)

  /// Whether `host` falls under this pattern; names are compared by whole labels.
  public func matches(_ host: Host) -> Bool {
    switch (self, host) {
    case (.exact(let name), .name(let host)): host == name
    case (.subdomains(let parent), .name(let host)): host.isBelow(parent)
    case (.domain(let apex), .name(let host)): host == apex || host.isBelow(apex)
    case (.anyName, .name): true
    case (.prefix(let block), .address(let address)): block.contains(address)
    default: false
    }
  }
}

extension HostPattern: CustomStringConvertible {
  /// The pattern as a policy file writes it.
  public var description: String {
    switch self {
    case .exact(let name): name.text
    case .subdomains(let parent): "*.\(parent)"
    case .domain(let apex): "**.\(apex)"
    case .anyName: "*"
    case .prefix(let block): block.description
    }
  }
}
