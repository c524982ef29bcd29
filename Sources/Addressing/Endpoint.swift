/// A transport address: what a socket is bound or connected to.
public struct Endpoint: Hashable, Sendable, CustomStringConvertible {
  /// The address.
  public var address: IPAddress
  /// The port.
  public var port: Port

  /// Makes an endpoint.
  public init(_ address: IPAddress, _ port: Port) {
    self.address = address
    self.port = port
  }

  /// Reads `1.2.3.4:80` or `[::1]:80`; an address alone takes `defaultPort`.
  public init?(_ text: String, defaultPort: Port? = nil) {
    if let address = IPAddress(text), let defaultPort {
      self.init(address, defaultPort)
      return
    }
    guard let authority = try? Authority(text.utf8, defaultPort: defaultPort),
      case .address(let address) = authority.host
    else { return nil }
    self.init(address, authority.port)
  }

  public var description: String { "\(Host.address(address)):\(port)" }
}
