import Control
import EventLoop
import Gateway
import Glibc
import Synchronization
import Testing

/// A control socket on a loop of its own, and clients for it.
final class ControlBench {
  let scratch: ScratchDirectory
  let socket: ControlSocket
  let loop: EventLoop
  private let seen = Events()

  var directory: String { scratch.path }
  var path: String { scratch.path + "/control.sock" }
  /// What the socket told its owner, in order.
  var events: [ControlEvent] { seen.all }

  init() throws {
    scratch = try ScratchDirectory()
    socket = try ControlSocket.bind(path: scratch.path + "/control.sock")
    loop = try EventLoop(label: "control")
    socket.start(
      on: loop, admits: { [door = ReviewerDoor()] in door.role(of: $0) != nil },
      handler: { request, _, reply in
        switch request {
        case .status: reply(.status(.sample))
        case .reload: reply(.reloadRefused(problems: ["no"]))
        default: reply(.refused("no"))
        }
      },
      notice: { [seen] event, _ in seen.add(event) })
  }

  deinit {
    socket.close()
    loop.submit { [loop] in loop.shutdown() }
  }

  func exchange(_ request: [UInt8]) throws -> [UInt8] {
    try UnixClient.exchange(path: path, request: request, timeout: .seconds(10))
  }

  /// A connection that stays open.
  func connect() throws -> Int32 {
    let descriptor = try #require(socketDescriptor())
    try #require(withUnixAddress(path) { Glibc.connect(descriptor, $0, $1) } == 0)
    return descriptor
  }

  /// Asks for the status on a connection and reads the first piece of the answer.
  func ask(on descriptor: Int32) throws -> [UInt8] {
    let line = ControlRequest.status.line()
    try #require(line.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) } == line.count)
    var answer = [UInt8](repeating: 0, count: 65_536)
    let count = answer.withUnsafeMutableBytes { read(descriptor, $0.baseAddress, $0.count) }
    return Array(answer.prefix(max(0, count)))
  }

  /// Asks from a child process of another user: python3 changes its id, connects,
  /// asks for the status and prints how many bytes came back.
  func exchange(asUser user: UInt32) throws -> Int {
    let program = """
      import os, socket, sys
      os.setgid(\(user)); os.setuid(\(user))
      s = socket.socket(socket.AF_UNIX); s.settimeout(10); s.connect(sys.argv[1])
      try:
        s.sendall(b'{"exitgate":1,"request":"status"}\\n'); s.shutdown(socket.SHUT_WR)
        print(len(s.recv(65536)))
      except (BrokenPipeError, ConnectionResetError):
        print(0)
      """
    let output = try #require(popen("python3 -c '\(program.replacing("'", with: "'\\''"))' \(path)", "r"))
    defer { pclose(output) }
    var line = [UInt8](repeating: 0, count: 64)
    let count = fread(&line, 1, 64, output)
    return try #require(Int(String(decoding: line.prefix(count).dropLast(), as: UTF8.self)))
  }
}

private final class Events: Sendable {
  private let list = Mutex<[ControlEvent]>([])
  var all: [ControlEvent] { list.withLock { $0 } }
  func add(_ event: ControlEvent) { list.withLock { $0.append(event) } }
}

/// A directory of its own that goes away with the test.
final class ScratchDirectory {
  let path: String

  init() throws {
    var template = Array("/tmp/exitgate-control.XXXXXX".utf8CString)
    let made = template.withUnsafeMutableBufferPointer {
      $0.baseAddress.flatMap { mkdtemp($0) }.map { String(cString: $0) }
    }
    path = try #require(made)
  }

  deinit {
    system("rm -rf '\(path)'")
  }
}

/// A socket file that its owner will leave behind.
func boundSocket(at path: String) throws -> Int32 {
  let descriptor = try #require(socketDescriptor())
  try #require(withUnixAddress(path) { bind(descriptor, $0, $1) } == 0)
  return descriptor
}

private func socketDescriptor() -> Int32? {
  let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
  return descriptor < 0 ? nil : descriptor
}

private func withUnixAddress<Result>(
  _ path: String, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Result
) -> Result {
  var address = sockaddr_un()
  address.sun_family = sa_family_t(AF_UNIX)
  withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8.prefix(107)) }
  return withUnsafePointer(to: &address) { pointer in
    pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
      body($0, socklen_t(MemoryLayout<sockaddr_un>.size))
    }
  }
}
