import Glibc
import SystemPackage

/// The network of a sandbox: the loopback device, and routes that make every
/// address this host's own. Nothing is routed out since there is nowhere to.
///
/// - Source: rtnetlink(7); `ip route add local default dev lo`.
enum LoopbackNetwork {
  /// Sets up the network namespace of the calling thread.
  ///
  /// - Returns: Whether there is IPv6.
  static func configure() throws(SandboxError) -> Bool {
    let socket = try Routing()
    try socket.perform("switch the loopback device on", RoutingRequest.linkUp)
    try socket.perform("lead IPv4 to this host", RoutingRequest.everything(isV4: true))
    guard access("/proc/sys/net/ipv6", F_OK) == 0 else { return false }
    // Where IPv6 is switched off no program has an address to send from either.
    return (try? socket.perform("lead IPv6 to this host", RoutingRequest.everything(isV4: false))) != nil
  }
}

/// The messages, as the kernel has them (linux/rtnetlink.h), in host order.
enum RoutingRequest {
  /// RTM_NEWLINK: struct ifinfomsg of device 1, which `lo` always is, with IFF_UP.
  static let linkUp = message(16, flags: 0, body: [0, 0] + word16(0) + word(1) + word(1) + word(1))

  /// RTM_NEWROUTE: struct rtmsg of the table `local`, type `local`, for all
  /// addresses of a family. Of IPv4 with 127.0.0.1 as the source, or each
  /// address would seem to speak to itself.
  static func everything(isV4: Bool) -> [UInt8] {
    let family = UInt8(isV4 ? AF_INET : AF_INET6)
    let table: UInt8 = 255, boot: UInt8 = 3, scope: UInt8 = isV4 ? 254 : 0, local: UInt8 = 2
    var body: [UInt8] = [family, 0, 0, 0, table, boot, scope, local] + word(0)
    body += attribute(4, word(1))  // RTA_OIF
    if isV4 { body += attribute(7, [127, 0, 0, 1]) }  // RTA_PREFSRC
    return message(24, flags: 0x400 | 0x200, body: body)  // NLM_F_CREATE, NLM_F_EXCL
  }

  /// struct nlmsghdr with NLM_F_REQUEST and NLM_F_ACK.
  private static func message(_ type: UInt16, flags: UInt16, body: [UInt8]) -> [UInt8] {
    word(UInt32(16 + body.count)) + word16(type) + word16(flags | 1 | 4) + word(1) + word(0) + body
  }

  private static func attribute(_ type: UInt16, _ value: [UInt8]) -> [UInt8] {
    word16(UInt16(4 + value.count)) + word16(type) + value
  }

  private static func word(_ value: UInt32) -> [UInt8] { withUnsafeBytes(of: value, Array.init) }
  private static func word16(_ value: UInt16) -> [UInt8] { withUnsafeBytes(of: value, Array.init) }
}

/// A socket to the kernel's routing.
private final class Routing {
  private let descriptor: Int32

  init() throws(SandboxError) {
    let kind = Int32(SOCK_RAW.rawValue | SOCK_CLOEXEC.rawValue)
    descriptor = try attempt(.network, "open a routing socket") { socket(AF_NETLINK, kind, 0) }
  }

  deinit { close(descriptor) }

  /// Sends one request and reads its acknowledgement: struct nlmsgerr behind a header, zero for success.
  func perform(_ what: String, _ request: [UInt8]) throws(SandboxError) {
    var answer = [UInt8](repeating: 0, count: 4096)
    guard send(descriptor, request, request.count, 0) == request.count,
      recv(descriptor, &answer, answer.count, 0) >= 20
    else { throw SandboxError(.network, "cannot \(what): \(Errno(rawValue: errno))") }
    let error = -answer.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: 16, as: Int32.self) }
    guard error == 0 else { throw SandboxError(.network, "cannot \(what): \(Errno(rawValue: error))") }
  }
}
