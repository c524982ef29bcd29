import CLinux
import Glibc

/// Tells the service manager how far a service is.
///
/// - Source: sd_notify(3): one datagram to the Unix socket that `NOTIFY_SOCKET`
///   names; a leading `@` stands for the abstract namespace (unix(7)).
enum ServiceNotice: String {
  /// Every listener is bound.
  case ready = "READY=1"
  /// The service is ending.
  case stopping = "STOPPING=1"

  /// Sends the notice; without a service manager, or when it does not listen,
  /// nothing happens.
  func send(environment: [String: String]) {
    guard let name = environment["NOTIFY_SOCKET"], let address = NoticeAddress(name) else { return }
    let descriptor = linux_datagram_socket(AF_UNIX)
    guard descriptor >= 0 else { return }
    defer { close(descriptor) }
    // A manager that is busy is waited for: the notice comes once.
    _ = fcntl(descriptor, F_SETFL, 0)
    let message = Array(rawValue.utf8)
    address.withPointer { pointer, length in
      _ = sendto(descriptor, message, message.count, Int32(MSG_NOSIGNAL), pointer, length)
    }
  }
}

/// The socket address of a path or an abstract name.
struct NoticeAddress {
  private var address = sockaddr_un()
  /// In bytes; of an abstract name no byte behind it counts, zeros included.
  private let length: socklen_t

  init?(_ name: String) {
    var bytes = Array(name.utf8)
    guard let first = bytes.first, first == UInt8(ascii: "/") || first == UInt8(ascii: "@"),
      bytes.count < MemoryLayout.size(ofValue: address.sun_path)
    else { return nil }
    if first == UInt8(ascii: "@") { bytes[0] = 0 }
    address.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
    let header = MemoryLayout<sockaddr_un>.offset(of: \.sun_path) ?? MemoryLayout<sa_family_t>.size
    length = socklen_t(header + bytes.count)
  }

  func withPointer(_ body: (UnsafePointer<sockaddr>, socklen_t) -> Void) {
    withUnsafePointer(to: address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, length) }
    }
  }
}
