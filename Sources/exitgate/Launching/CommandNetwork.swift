import Addressing
import CLinux
import EventLoop
import Firewall
import Gateway
import Glibc
import Launcher
import Policy

/// The gate's side of a command's network: the listeners and the table there.
enum CommandNetwork {
  static let transparentPort: UInt16 = 15001
  static let dnsPort: UInt16 = 15353
  static let proxyPort: UInt16 = 3128
  private static let logGroup: UInt16 = 5

  /// Has a gate listen there.
  static func listen(_ configuration: inout GateConfiguration, hasIPv6: Bool) {
    let addresses: [IPAddress] = [.v4(0x7f00_0001)] + (hasIPv6 ? [.v6(high: 0, low: 1)] : [])
    let endpoints = [proxyPort, transparentPort, dnsPort].map { number in
      Port(number).map { port in addresses.map { Endpoint($0, port) } } ?? []
    }
    configuration.proxyListeners = endpoints[0].map { ListenAddress.tcp($0) }
    let agent = configuration.soleAgent ?? .default
    configuration.captures = endpoints[1].map { CaptureSettings($0, .redirect, agent: agent) }
    configuration.nameCaptures = endpoints[2].map { CaptureSettings($0, .redirect, agent: agent) }
  }

  /// Where the kernel lets no table be owned, there is nobody else who may change it either.
  private static func claim(_ table: Table, by socket: NetfilterSocket) throws(NetfilterError) {
    do { try socket.claim([table]) } catch {
      guard error.problem == .unsupported else { throw error }
      try socket.claim([table], ownership: .plain)
    }
  }

  /// In the command's network: loads the table, and opens what the gate gets. Last are the packet log, a socket that counters
  /// are read by, and one that sockets are asked for by.
  static func open(_ configuration: GateConfiguration, hasIPv6: Bool) throws -> SandboxOpening {
    var configuration = configuration
    listen(&configuration, hasIPv6: hasIPv6)
    let socket = try NetfilterSocket()
    let table = CommandTable(transparentPort: transparentPort, dnsPort: dnsPort, logGroup: logGroup).table
    try claim(table, by: socket)
    // None may wait: the command may end, and its network with it.
    let packets = try PacketLog(group: logGroup, batch: 1)
    let listeners = try HandedListeners(configuration)
    let counters = try NetfilterSocket()
    let diagnosis = linux_diagnosis_socket()
    guard diagnosis >= 0 else { throw SandboxError(.table, "cannot open a socket that asks for sockets") }
    return SandboxOpening(
      descriptors: listeners.descriptors + [packets.descriptor, counters.descriptor, diagnosis],
      kept: [socket, packets, counters, listeners])
  }
}
