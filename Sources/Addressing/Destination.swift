/// What is spoken to a destination, as rules name it.
public enum TrafficProtocol: String, Hashable, Sendable, CaseIterable {
  /// TLS to the host that was asked for; the first flight is looked at.
  case https
  /// Plain HTTP/1.1; every request is looked at.
  case http
  /// Opaque bytes over TCP.
  case tcp
  /// Datagrams.
  case udp
  /// Record types beyond A, AAAA and CNAME.
  case dns
}

/// Where traffic wants to go: host, port and protocol. Made by parsing, judged
/// by the policy, resolved, dialled and recorded as the same value.
public struct Destination: Hashable, Sendable, CustomStringConvertible {
  /// The host.
  public var host: Host
  /// The port.
  public var port: Port
  /// The protocol.
  public var traffic: TrafficProtocol

  /// Makes a destination.
  public init(_ host: Host, _ port: Port, _ traffic: TrafficProtocol) {
    self.host = host
    self.port = port
    self.traffic = traffic
  }

  /// `https://host:port`, the protocol always first.
  public var description: String { "\(traffic.rawValue)://\(host):\(port)" }
}
