import Addressing
import Control
import Dispatch
import EventLoop
import Gateway
import Glibc
import Synchronization
import SystemPackage
import Testing

@Suite("The control socket")
struct ControlSocketTests {
  @Test("every request is answered, several on one connection in their order")
  func answers() throws {
    let bench = try ControlBench()
    let both = ControlRequest.status.line() + ControlRequest.reload.line()
    let answer = try bench.exchange(both)
    let lines = answer.split(separator: UInt8(ascii: "\n"))
    try #require(lines.count == 2)
    #expect(try ControlReply(line: Array(lines[0])) == .status(.sample))
    #expect(try ControlReply(line: Array(lines[1])) == .reloadRefused(problems: ["no"]))
    #expect(bench.events.isEmpty)
  }

  @Test("CTL-15: what is no request is answered with a refusal, recorded, and the connection closed")
  func badRequests() throws {
    let bench = try ControlBench()
    let answer = try bench.exchange(Array("GET / HTTP/1.1\r\n\r\n".utf8) + ControlRequest.status.line())
    let lines = answer.split(separator: UInt8(ascii: "\n"))
    #expect(lines.count == 1, "what follows is not looked at")
    guard case .refused = try ControlReply(line: Array(lines.first ?? [])) else {
      Issue.record("no refusal")
      return
    }
    #expect(bench.events == [.badRequest(.notAnObject)])
  }

  @Test("CTL-15: a line without an end is refused at 64 KiB, not kept")
  func endlessLine() throws {
    let bench = try ControlBench()
    let answer = try bench.exchange([UInt8](repeating: UInt8(ascii: " "), count: 70_000))
    guard case .refused = try ControlReply(line: Array(answer.dropLast())) else {
      Issue.record("no refusal")
      return
    }
    #expect(bench.events == [.badRequest(.tooLong)])
  }

  @Test("CTL-15: more connections than there is room for are closed, and those that are open still served")
  func crowd() throws {
    let bench = try ControlBench()
    let open = try (0..<32).map { _ in try bench.connect() }
    defer { open.forEach { _ = Glibc.close($0) } }
    // The loop admits in the order of connecting, so an answer to the last proves all are in.
    #expect(try bench.ask(on: open[31]).count > 0)
    // The close may come before the request is written.
    let answer = (try? bench.exchange(ControlRequest.status.line())) ?? []
    #expect(answer.isEmpty)
    #expect(bench.events == [.tooManyConnections])
    #expect(try bench.ask(on: open[0]).count > 0)
  }

  @Test("a client that goes away while its request is answered harms nobody")
  func deserter() throws {
    let bench = try ControlBench()
    let deserter = try bench.connect()
    let line = ControlRequest.status.line()
    #expect(line.withUnsafeBytes { write(deserter, $0.baseAddress, $0.count) } == line.count)
    Glibc.close(deserter)
    #expect(try bench.exchange(line).count > 0)
  }

  @Test("CTL-01: the socket is its owner's alone, and gone when the gate closes it")
  func mode() throws {
    let bench = try ControlBench()
    var status = stat()
    #expect(lstat(bench.path, &status) == 0)
    #expect(status.st_mode & 0o7777 == 0o600)
    bench.socket.close()
    #expect(lstat(bench.path, &status) != 0)
  }

  @Test(
    "CTL-01: a process of another user is refused even where the file's mode lets it in",
    .enabled(if: geteuid() == 0))
  func stranger() throws {
    let bench = try ControlBench()
    chmod(bench.path, 0o666)
    chmod(bench.directory, 0o755)
    #expect(try bench.exchange(asUser: 65534) == 0, "a stranger gets no byte")
    #expect(bench.events == [.strangerRefused])
    #expect(try bench.exchange(asUser: 0) > 0, "the gate's own user is served")
  }
}

@Suite("Where the control socket may stand")
struct ControlPathTests {
  @Test("CTL-15: a symbolic link at the path is refused, whatever it points at")
  func symbolicLink() throws {
    let directory = try ScratchDirectory()
    let path = directory.path + "/control.sock"
    #expect(symlink(directory.path + "/elsewhere.sock", path) == 0)
    #expect(throws: ControlSocketError(path: path, .notASocket)) { _ = try ControlSocket.bind(path: path) }
  }

  @Test("a file at the path is refused and left alone")
  func file() throws {
    let directory = try ScratchDirectory()
    let path = directory.path + "/control.sock"
    close(open(path, O_CREAT | O_WRONLY, 0o600))
    #expect(throws: ControlSocketError(path: path, .notASocket)) { _ = try ControlSocket.bind(path: path) }
    #expect(access(path, F_OK) == 0)
  }

  @Test(
    "CTL-15: a directory others can write is warned of, sticky or not",
    arguments: [0o777, 0o1777, 0o770] as [UInt32])
  func openDirectory(mode: UInt32) throws {
    let directory = try ScratchDirectory()
    chmod(directory.path, mode)
    let path = directory.path + "/control.sock"
    let socket = try ControlSocket.bind(path: path)
    defer { socket.close() }
    #expect(socket.warning?.contains("'\(directory.path)' (mode \(String(mode, radix: 8)))") == true)
    #expect(socket.warning?.contains("chmod") == (mode & 0o1000 == 0))
  }

  @Test("CTL-15: a directory below one that others can write is warned of, for it can be swapped")
  func openAncestor() throws {
    let directory = try ScratchDirectory()
    let inner = directory.path + "/inner"
    mkdir(inner, 0o700)
    chmod(directory.path, 0o777)
    let path = inner + "/control.sock"
    let open = try ControlSocket.bind(path: path)
    #expect(open.warning?.contains(directory.path) == true)
    open.close()
    chmod(directory.path, 0o1777)
    let sticky = try ControlSocket.bind(path: inner + "/sticky.sock")
    #expect(sticky.warning == nil)
    sticky.close()
  }

  @Test("a gate waits for another that puts its socket into the same directory just now")
  func neighbour() throws {
    let directory = try ScratchDirectory()
    let held = open(directory.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    #expect(flock(held, LOCK_EX) == 0)
    DispatchQueue.global().asyncAfter(deadline: .now() + .milliseconds(300)) { close(held) }
    let socket = try ControlSocket.bind(path: directory.path + "/control.sock")
    socket.close()
  }

  @Test("CTL-15: another user's directory is refused", .enabled(if: geteuid() == 0))
  func foreignDirectory() throws {
    let directory = try ScratchDirectory()
    chown(directory.path, 65534, 65534)
    let path = directory.path + "/control.sock"
    guard geteuid() != 65534 else { return }
    #expect(throws: ControlSocketError(path: path, .foreignDirectory(owner: 65534))) {
      _ = try ControlSocket.bind(path: path)
    }
  }

  @Test("a missing directory is made for its owner alone")
  func missingDirectory() throws {
    let directory = try ScratchDirectory()
    let inner = directory.path + "/run"
    let socket = try ControlSocket.bind(path: inner + "/control.sock")
    var status = stat()
    #expect(stat(inner, &status) == 0)
    #expect(status.st_mode & 0o7777 == 0o700)
    socket.close()
  }

  @Test("SBX-11: a socket at which a gate answers is not taken over; one it left behind is")
  func stale() throws {
    let directory = try ScratchDirectory()
    let path = directory.path + "/control.sock"
    let first = try ControlSocket.bind(path: path)
    #expect(throws: ControlSocketError(path: path, .inUse)) { _ = try ControlSocket.bind(path: path) }
    first.close()
    let abandoned = try boundSocket(at: path)
    Glibc.close(abandoned)
    #expect(access(path, F_OK) == 0)
    try ControlSocket.bind(path: path).close()
  }

  @Test("a path too long for a socket address is named as such")
  func longPath() throws {
    let directory = try ScratchDirectory()
    let path = directory.path + "/" + String(repeating: "x", count: 108)
    #expect(throws: ControlSocketError(path: path, .pathTooLong)) { _ = try ControlSocket.bind(path: path) }
  }

  @Test("every error names its remedy")
  func remedies() {
    let problems: [ControlSocketError.Problem] = [
      .pathTooLong, .directory(.permissionDenied), .foreignDirectory(owner: 7),
      .notASocket, .inUse, .bind(.noSpace),
    ]
    let errors = problems.map { ControlSocketError(path: "/x/c.sock", $0) }
    for error in errors {
      #expect(error.description.contains("'/x/c.sock'"))
      #expect(error.description.hasSuffix("."))
    }
  }
}
