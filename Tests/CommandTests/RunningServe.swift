import Foundation
import Testing

/// `exitgate serve` with everything in one directory and its proxy listener on
/// a Unix socket, so that tests never meet on a port.
final class RunningServe {
  let scratch: Scratch
  let process: Process
  private let notices: NoticeSocket

  var policy: String { scratch.file("policy.yaml") }
  var control: String { scratch.file("control.sock") }
  var log: String { scratch.file("audit.jsonl") }

  /// Starts it and waits for `READY=1`.
  init(_ policy: String = samplePolicy, abstractNotice: Bool = false) throws {
    scratch = try Scratch()
    try scratch.write("policy.yaml", policy)
    notices = try NoticeSocket(in: scratch, abstract: abstractNotice)
    process = try Binary.process(
      Self.arguments(in: scratch), ["NOTIFY_SOCKET": notices.name], in: scratch)
    process.standardOutput = try scratch.create("out")
    process.standardError = try scratch.create("err")
    try process.run()
    let notice = notices.next()
    try #require(notice == "READY=1", "\(words)")
  }

  deinit {
    if process.isRunning {
      kill(process.processIdentifier, SIGKILL)
      process.waitUntilExit()
    }
  }

  static func arguments(in scratch: Scratch) -> [String] {
    [
      "serve", "--policy", scratch.file("policy.yaml"), "--proxy-listen",
      "unix:\(scratch.file("proxy.sock"))",
      "--dns-upstream", "127.0.0.1:9", "--audit-log", scratch.file("audit.jsonl"), "--control",
      scratch.file("control.sock"), "--loops", "2",
    ]
  }

  /// What it said on standard error so far.
  var words: String { (try? scratch.text("err")) ?? "" }

  func tell(_ arguments: String...) throws -> Binary.Run {
    try Binary.run(arguments + ["--control", control])
  }

  func askLog(_ arguments: String...) throws -> Binary.Run {
    try Binary.run(["log"] + arguments + ["--audit-log", log])
  }

  /// Sends bytes to the proxy and reads until it closes.
  func send(_ request: String) throws -> String {
    let connection = try #require(UnixStream(to: scratch.file("proxy.sock")))
    connection.write(request)
    return connection.readAll()
  }

  /// A connection that stays open.
  func hold() throws -> UnixStream {
    try #require(UnixStream(to: scratch.file("proxy.sock")))
  }

  func signal(_ number: Int32) {
    kill(process.processIdentifier, number)
  }

  func nextNotice() -> String? { notices.next() }

  func waitForEnd() -> Int32 {
    process.waitUntilExit()
    return process.terminationStatus
  }
}

/// The service manager's end of `NOTIFY_SOCKET`.
final class NoticeSocket {
  let name: String
  private let descriptor: Int32

  init(in scratch: Scratch, abstract: Bool) throws {
    name = abstract ? "@exitgate-test-\(UUID().uuidString)" : scratch.file("notify.sock")
    descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue), 0)
    var patience = timeval(tv_sec: 20, tv_usec: 0)
    setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &patience, socklen_t(MemoryLayout<timeval>.size))
    try #require(withUnixAddress(name) { bind(descriptor, $0, $1) } == 0)
  }

  deinit { close(descriptor) }

  /// The next notice, or nil after 20 s without one.
  func next() -> String? {
    var buffer = [UInt8](repeating: 0, count: 256)
    let count = recv(descriptor, &buffer, buffer.count, 0)
    return count > 0 ? String(decoding: buffer.prefix(count), as: UTF8.self) : nil
  }
}

/// A client's end of a Unix stream.
final class UnixStream {
  private let descriptor: Int32

  init?(to path: String) {
    descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
    guard withUnixAddress(path, { connect(descriptor, $0, $1) }) == 0 else { return nil }
  }

  deinit { close(descriptor) }

  func write(_ text: String) {
    let bytes = Array(text.utf8)
    _ = Foundation.send(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL))
  }

  /// What comes first.
  func readSome() -> String {
    var buffer = [UInt8](repeating: 0, count: 4096)
    let count = recv(descriptor, &buffer, buffer.count, 0)
    return String(decoding: buffer.prefix(max(0, count)), as: UTF8.self)
  }

  func readAll() -> String {
    var all: [UInt8] = [], buffer = [UInt8](repeating: 0, count: 4096)
    while true {
      let count = recv(descriptor, &buffer, buffer.count, 0)
      guard count > 0 else { return String(decoding: all, as: UTF8.self) }
      all += buffer.prefix(count)
    }
  }
}

/// The address of a path, or of an abstract name that begins with `@`.
func withUnixAddress<Result>(_ name: String, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Result) -> Result
{
  var address = sockaddr_un(), bytes = Array(name.utf8)
  if bytes.first == UInt8(ascii: "@") { bytes[0] = 0 }
  address.sun_family = sa_family_t(AF_UNIX)
  withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
  let length = socklen_t(MemoryLayout<sa_family_t>.size + bytes.count)
  return withUnsafePointer(to: &address) { pointer in
    pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, length) }
  }
}
