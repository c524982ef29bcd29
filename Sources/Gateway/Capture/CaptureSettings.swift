import Addressing
import EventLoop
import Policy

/// A listener for what agents send elsewhere and the kernel's table leads here.
public struct CaptureSettings: Hashable, Sendable, CustomStringConvertible {
  /// How the table does it, and with that where the first destination stands.
  public enum Mode: String, Hashable, Sendable, CaseIterable {
    /// `redirect` of nft(8): connection tracking knows the first destination.
    case redirect
    /// `tproxy` of nft(8): it is the socket's own address. Needs CAP_NET_ADMIN to bind.
    case tproxy
  }

  /// What is bound.
  public var endpoint: Endpoint
  /// How traffic comes here.
  public var mode: Mode
  /// The only interface to take from; nil for all.
  public var device: String?
  /// Whose traffic it is: whoever comes by this listener is this agent.
  public var agent: AgentName

  /// Makes settings.
  public init(_ endpoint: Endpoint, _ mode: Mode, device: String? = nil, agent: AgentName = .default) {
    self.endpoint = endpoint
    self.mode = mode
    self.device = device
    self.agent = agent
  }

  /// As records and `status` name it: `redirect:127.0.0.1:15001`, `tproxy:0.0.0.0:15001%veth0`.
  public var description: String {
    "\(mode.rawValue):\(endpoint)\(device.map { "%\($0)" } ?? "")"
  }

  /// What its sockets are bound with.
  var scope: ListenScope { ListenScope(isTransparent: mode == .tproxy, device: device) }
}
