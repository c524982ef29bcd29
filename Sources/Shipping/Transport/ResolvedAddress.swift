import Addressing
import CLinux
import Glibc

/// One of the addresses of a host, as the system resolves names (getaddrinfo(3)).
struct ResolvedAddress {
  /// AF_INET or AF_INET6.
  let family: Int32
  private let bytes: [UInt8]

  /// The address itself; nil for one with a zone.
  var address: IPAddress? {
    var text = [CChar](repeating: 0, count: Int(NI_MAXHOST))
    let status = withSocketAddress { address, length in
      getnameinfo(address, length, &text, socklen_t(text.count), nil, 0, NI_NUMERICHOST)
    }
    let name = text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }
    return status == 0 ? IPAddress(String(decoding: name, as: UTF8.self)) : nil
  }

  /// connect(2) of a socket.
  func connect(_ descriptor: Int32) -> Int32 {
    withSocketAddress { Glibc.connect(descriptor, $0, $1) }
  }

  private func withSocketAddress<Result>(
    _ body: (UnsafePointer<sockaddr>?, socklen_t) -> Result
  ) -> Result {
    var storage = sockaddr_storage()
    return withUnsafeMutableBytes(of: &storage) { raw in
      raw.copyBytes(from: bytes)
      return body(raw.baseAddress?.assumingMemoryBound(to: sockaddr.self), socklen_t(bytes.count))
    }
  }

  /// The address of a Unix socket; nil when the path is too long for one (unix(7)).
  static func unix(_ path: String) -> ResolvedAddress? {
    var address = sockaddr_un()
    let room = MemoryLayout.size(ofValue: address.sun_path)
    guard path.utf8.count < room else { return nil }
    address.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
    return ResolvedAddress(family: AF_UNIX, bytes: withUnsafeBytes(of: &address) { Array($0) })
  }

  /// Asks the system for the addresses of a host, in the order in which they are to be tried.
  static func all(of host: Host, port: Port) throws(ConnectionError) -> [ResolvedAddress] {
    var hints = addrinfo()
    hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
    hints.ai_protocol = Int32(IPPROTO_TCP)
    let name: String
    switch host {
    case .name(let hostname): name = hostname.text
    case .address(let address): name = "\(address)"
    }
    var list: UnsafeMutablePointer<addrinfo>?
    let status = getaddrinfo(name, "\(port.number)", &hints, &list)
    guard status == 0 else { throw .notResolved(String(cString: gai_strerror(status))) }
    defer { freeaddrinfo(list) }
    var found: [ResolvedAddress] = [], next = list
    while let entry = next?.pointee {
      let length = Int(entry.ai_addrlen)
      if let address = entry.ai_addr, length <= MemoryLayout<sockaddr_storage>.size {
        found.append(
          ResolvedAddress(
            family: entry.ai_family, bytes: Array(UnsafeRawBufferPointer(start: address, count: length))))
      }
      next = entry.ai_next
    }
    return found
  }
}

/// Where a gate on this machine is read from.
public enum LocalPlace: Hashable, Sendable {
  /// A Unix socket.
  case unix(String)
  /// An address.
  case endpoint(Endpoint)

  /// Reads `unix:/path` or `ADDRESS:PORT`; nil for anything else.
  public init?(_ text: String) {
    if text.utf8.starts(with: "unix:/".utf8) {
      self = .unix(String(text.dropFirst(5)))
    } else if let endpoint = Endpoint(text) {
      self = .endpoint(endpoint)
    } else {
      return nil
    }
  }

  /// What stands in the `Host` field.
  var authority: String {
    switch self {
    case .unix: "localhost"
    case .endpoint(let endpoint): endpoint.description
    }
  }

  var addresses: [ResolvedAddress] {
    get throws(ConnectionError) {
      switch self {
      case .unix(let path): return ResolvedAddress.unix(path).map { [$0] } ?? []
      case .endpoint(let endpoint):
        return try ResolvedAddress.all(of: .address(endpoint.address), port: endpoint.port)
      }
    }
  }
}
