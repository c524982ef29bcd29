import Addressing
import Audit
import Dispatch
import EventLoop
import Glibc
import Policy
import Testing

@testable import Gateway

/// A blocking UDP socket on the client's side, with 10 s of patience.
final class NameClient: Sendable {
  let fd: Int32

  /// Talks to a port of 127.0.0.1.
  init(_ port: Port) throws {
    fd = socket(AF_INET, Int32(SOCK_DGRAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
    setPatience(10_000)
    try #require(LoopbackSocket.connect(fd, to: 0x7f00_0001, port.number) == 0, "errno \(errno)")
  }

  /// Takes over a connected socket.
  init(adopting fd: Int32) {
    self.fd = fd
    setPatience(10_000)
  }

  deinit { close(fd) }

  private func setPatience(_ milliseconds: Int) {
    var limit = timeval(tv_sec: milliseconds / 1000, tv_usec: milliseconds % 1000 * 1000)
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
  }

  func send(_ bytes: [UInt8]) { _ = Glibc.send(fd, bytes, bytes.count, 0) }

  /// The next datagram; nil when none comes within `patience` milliseconds.
  func receive(within patience: Int = 10_000) -> [UInt8]? {
    setPatience(patience)
    var buffer = [UInt8](repeating: 0, count: 65_536)
    let count = recv(fd, &buffer, buffer.count, 0)
    return count < 0 ? nil : Array(buffer.prefix(count))
  }

  func reply() throws -> NameReply {
    guard let bytes = receive() else { throw GaveUp(description: "no answer came") }
    return try NameReply(bytes)
  }

  func ask(_ name: String, _ query: NameQuery = NameQuery()) throws -> NameReply {
    send(query.bytes(name))
    return try reply()
  }
}

extension ClientSocket {
  /// Sends a DNS message with its length before it.
  func send(message: [UInt8]) { send(Self.framed(message)) }

  static func framed(_ message: [UInt8]) -> [UInt8] {
    [UInt8(message.count >> 8), UInt8(message.count & 0xff)] + message
  }

  func reply() throws -> NameReply {
    let length = try readExactly(2)
    return try NameReply(readExactly(Int(length[0]) << 8 | Int(length[1])))
  }

  func ask(_ name: String, _ query: NameQuery = NameQuery()) throws -> NameReply {
    send(message: query.bytes(name))
    return try reply()
  }
}

extension GateRig {
  /// A connection to the DNS listener.
  func stream(_ port: Port? = nil) throws -> ClientSocket { try ClientSocket(tcp: port ?? dns) }

  func datagrams(_ port: Port? = nil) throws -> NameClient { try NameClient(port ?? dns) }

  /// Reads something of the name service on its loop.
  func names<T: Sendable>(_ read: (NameDesk) -> T) throws -> T {
    let shard = gate.shards[0]
    return try shard.loop.sync { read(try #require(shard.names)) }
  }

  /// The decisions about questions up to now, as `NAME TYPE verdict reason`.
  func questions() throws -> [String] {
    try records().filter { $0.event == "decision" && $0.layer == .dns }.map {
      let name = $0.destination.map { "\($0.host)" } ?? "-"
      return "\(name) \($0.recordType ?? "-") \($0.verdict?.rawValue ?? "-") \($0.reason ?? "-")"
    }
  }
}

extension DNSReply {
  /// An upstream's answer with these records.
  static func answering(_ seen: ResolverStub.Seen, _ records: String...) throws -> [ResolverStub.Answer] {
    [.init(bytes: DNSReply(answers: try records.map { try record($0) }).bytes(to: seen.query))]
  }
}
