import Addressing
import Audit
import Control
import Dispatch
import EventLoop
import Glibc
import Logging
import Policy
import Synchronization
import Testing
import Wire

import class Foundation.FileManager

@testable import Gateway

/// All tests that start a gate, one after the other: each measures its own
/// sockets and its own time.
@Suite(.serialized) enum GateTests {}

struct GaveUp: Error, CustomStringConvertible {
  var description: String
}

/// Waits until `condition` holds, asking every 2 ms.
func eventually(
  _ what: String, within patience: Duration = .seconds(10), _ condition: () throws -> Bool
) throws {
  let deadline = MonotonicTime.now() + patience
  while try !condition() {
    guard MonotonicTime.now() < deadline else { throw GaveUp(description: "never: \(what)") }
    poll(nil, 0, 2)
  }
}

/// A gate in this process, on loopback, with a resolver and an origin of the test's own.
///
/// The policy text may say `$ORIGIN` and `$LISTEN` for the two ports, `$DNS` and
/// `$OTHER` for two more that are free over TCP and UDP, and `$DIR` for a
/// directory of its own. Every name under `test` is 127.0.0.1,
/// unless `zone` says otherwise; `nx.test` and its like are `[]`.
final class GateRig: Sendable {
  let directory: String
  let origin: OriginStub
  let resolver: ResolverStub
  let gate: Gate
  private let places: Places
  private let isStopped = Atomic(false)

  var port: Port { places.listen }
  var dns: Port { places.dns }
  var other: Port { places.other }

  /// What stands for the words of a policy.
  struct Places: Sendable {
    let directory: String
    let origin: Port
    let listen: Port
    let dns: Port
    let other: Port

    func expand(_ text: String) -> String {
      text.replacing("$ORIGIN", with: "\(origin)").replacing("$LISTEN", with: "\(listen)")
        .replacing("$DIR", with: directory).replacing("$DNS", with: "\(dns)")
        .replacing("$OTHER", with: "\(other)")
    }
  }

  /// What is captured, and where: the gate listens inside, and dials outside.
  struct Captured: Sendable {
    var sandbox: Sandbox
    var connections: [CaptureSettings] = []
    var names: [CaptureSettings] = []
  }

  /// How names are served; not at all unless there are listeners.
  struct Names: Sendable {
    var listeners: [String] = []
    var rate = 0
    var answers = DNSAnswers.real
    /// Instead of the zone.
    var upstream: ResolverStub.Script?
  }

  init(
    _ policy: String, zone: [String: [String]] = [:], loops: Int = 2,
    shared: [String] = ["127.0.0.1:$LISTEN"], names: Names = Names(), captured: Captured? = nil,
    greeting: String = "", origin script: @escaping OriginStub.Script = OriginStub.answers("hello"),
    beforeAnswer: @escaping @Sendable () -> Void = {},
    configure: @escaping (inout GateConfiguration) -> Void = { _ in }
  ) throws {
    ignoreSIGPIPE()
    directory = try Self.makeDirectory()
    origin = try OriginStub(greeting: greeting, script)
    resolver = try ResolverStub { seen in
      if let script = names.upstream { return try script(seen) }
      let name = seen.query.question.name.hostname?.text ?? ""
      guard seen.query.question.type == .a else { return [.init(bytes: DNSReply().bytes(to: seen.query))] }
      beforeAnswer()
      let addresses = zone[name] ?? ["127.0.0.1"]
      if addresses == ["silence"] { return [] }
      var reply = DNSReply()
      if addresses.isEmpty { reply.responseCode = 3 }
      reply.answers = try addresses.map { entry in
        try DNSReply.record(entry.contains(" ") ? entry : "\(name) 60 A \(entry)")
      }
      return [.init(bytes: reply.bytes(to: seen.query))]
    }
    (gate, places) = try Self.start(
      policy, shared, names, captured, loops, resolver.endpoint, directory, origin.port, configure)
  }

  /// Starts a gate on a port that was free a moment ago; tries another when it is not any more.
  private static func start(
    _ policy: String, _ shared: [String], _ names: Names, _ captured: Captured?, _ loops: Int,
    _ resolver: Endpoint, _ directory: String, _ origin: Port,
    _ configure: (inout GateConfiguration) -> Void
  ) throws -> (Gate, Places) {
    for _ in 0..<8 {
      let places = Places(
        directory: directory, origin: origin, listen: try freePort(), dns: try freePort(),
        other: try freePort())
      do {
        return (try start(policy, shared, names, captured, loops, resolver, places, configure), places)
      } catch let error as StartError where error.description.contains("listens there already") {
        continue
      }
    }
    throw GaveUp(description: "no port is free")
  }

  private static func start(
    _ policy: String, _ shared: [String], _ names: Names, _ captured: Captured?, _ loops: Int,
    _ resolver: Endpoint, _ places: Places, _ configure: (inout GateConfiguration) -> Void
  ) throws -> Gate {
    let directory = places.directory
    try write(places.expand(policy), to: directory + "/policy.yaml")
    var configuration = GateConfiguration(
      policyPath: directory + "/policy.yaml",
      proxyListeners: shared.compactMap { ListenAddress(places.expand($0)) },
      upstreams: [Upstream(resolver)], auditLogPath: directory + "/log/audit.jsonl",
      controlPath: directory + "/control/control.sock", loops: loops, environment: [:],
      workingDirectory: directory, version: "test")
    configuration.dnsListeners = names.listeners.compactMap { Endpoint(places.expand($0)) }
    (configuration.dnsRate, configuration.dnsAnswers) = (names.rate, names.answers)
    configuration.captures = captured?.connections ?? []
    configuration.nameCaptures = captured?.names ?? []
    configure(&configuration)
    let words = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
    guard let captured else { return try Gate.start(configuration, words: words) }
    return try Gate.start(configuration, words: words) { [configuration] agents, early throws(ListenError) in
      try captured.sandbox.enter {
        Result { () throws(ListenError) in try early.completed(configuration, agents: agents) }
      }.get()
    }
  }

  private static func makeDirectory() throws -> String {
    var template = Array("/tmp/gate.XXXXXX".utf8CString)
    let path = template.withUnsafeMutableBufferPointer { buffer in
      buffer.baseAddress.flatMap(mkdtemp).map { String(cString: $0) }
    }
    let made = try #require(path)
    mkdir(made + "/log", 0o700)
    mkdir(made + "/control", 0o700)
    return made
  }

  private static func freePort() throws -> Port {
    let fd = try LoopbackSocket.bound(SOCK_STREAM, port: 0)
    defer { close(fd) }
    return try #require(Port(LoopbackSocket.port(of: fd)))
  }

  private static func write(_ text: String, to path: String) throws {
    let fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
    try #require(fd >= 0)
    defer { close(fd) }
    let bytes = Array(text.utf8)
    try #require(Glibc.write(fd, bytes, bytes.count) == bytes.count)
  }

  /// Ends the gate at once and everything around it.
  func stop() {
    guard !isStopped.exchange(true, ordering: .relaxed) else { return }
    drain(within: .zero)
    finish()
  }

  /// Ends the gate as SIGTERM does and waits for it.
  func drain(within grace: Duration) {
    let done = DispatchSemaphore(value: 0)
    gate.drain(within: grace) { done.signal() }
    done.wait()
  }

  /// For a test that drained the gate itself.
  func finish() {
    isStopped.store(true, ordering: .relaxed)
    origin.stop()
    resolver.stop()
    try? FileManager.default.removeItem(atPath: directory)
  }

  /// Writes a file beside the policy.
  func write(_ text: String, to name: String) throws {
    try Self.write(places.expand(text), to: directory + "/" + name)
  }

  /// One line to the control socket; the first line of what it answers.
  func tell(_ request: String, more: String = "") throws -> String {
    let client = try ClientSocket(unix: directory + "/control/control.sock")
    defer { client.close() }
    client.send("{\"exitgate\":1,\"request\":\"\(request)\"\(more)}\n")
    return try client.read(until: "\n")
  }

  /// Puts another policy in force; the time it took to do so on every loop.
  @discardableResult
  func reload(_ policy: String) throws -> Duration {
    try write(policy, to: "policy.yaml")
    let start = MonotonicTime.now()
    let outcome = Mutex<ReloadOutcome?>(nil)
    let done = DispatchSemaphore(value: 0)
    gate.reload { reply in
      outcome.withLock { $0 = reply }
      done.signal()
    }
    done.wait()
    guard case .reloaded = outcome.withLock({ $0 }) else {
      throw GaveUp(description: "not reloaded: \(String(describing: outcome.withLock { $0 }))")
    }
    return MonotonicTime.now() - start
  }

  // MARK: - What is known of the gate

  /// The whole log up to now, in order.
  func records() throws -> [LogRecord] {
    _ = gate.log.commit()
    var reader = try LogReader(path: directory + "/log/audit.jsonl")
    var records: [LogRecord] = []
    while let line = try reader.next() { records.append(try LogRecord(line)) }
    return records
  }

  /// The decisions up to now, as `verdict reason`.
  func decisions() throws -> [String] {
    try records().filter { $0.event == "decision" }.map {
      "\($0.verdict?.rawValue ?? "-") \($0.reason ?? "-")"
    }
  }

  /// Why connections ended, up to now.
  func closes() throws -> [String] {
    try records().filter { $0.event == "close" }.map { $0.reason ?? "-" }
  }

  /// Waits for so many close records.
  func awaitCloses(_ count: Int) throws -> [String] {
    try eventually("\(count) close records") { try closes().count >= count }
    return try closes()
  }

  var flows: Int {
    gate.shards.reduce(0) { sum, shard in sum + shard.loop.sync { shard.flows.flows.count } }
  }
  var channels: Int {
    gate.shards.reduce(0) { sum, shard in sum + shard.loop.sync { shard.loop.openChannels } }
  }

  /// Nothing is under way any more, and nothing was kept.
  func awaitRest() throws {
    try eventually("flows, places and channels are given back") {
      flows == 0 && gate.admission.open == 0 && channels == 0
    }
  }

  func client() throws -> ClientSocket { try ClientSocket(tcp: port) }

  /// One request on a connection of its own, and all that comes back until the end.
  func ask(_ request: String) throws -> String {
    let client = try client()
    defer { client.close() }
    client.send(request)
    return try client.readToEnd()
  }

  /// A connection whose tunnel stands.
  func tunnel(to host: String) throws -> ClientSocket {
    let client = try client()
    client.send("CONNECT \(host):\(origin.port) HTTP/1.1\r\n\r\n")
    let answer = try client.read(until: "\r\n\r\n")
    guard answer.hasPrefix("HTTP/1.1 200") else { throw GaveUp(description: answer) }
    return client
  }

  /// A GET for the origin under `host`.
  func get(_ host: String, _ path: String = "/", _ fields: String = "") -> String {
    "GET http://\(host):\(origin.port)\(path) HTTP/1.1\r\nHost: \(host):\(origin.port)\r\n\(fields)\r\n"
  }
}

/// A blocking socket on the client's side, with 10 s of patience.
final class ClientSocket: Sendable {
  let fd: Int32
  private let isClosed = Atomic(false)

  init(tcp port: Port, receiveBuffer: Int32? = nil) throws {
    fd = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
    setPatience()
    if var receiveBuffer {
      setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receiveBuffer, socklen_t(MemoryLayout<Int32>.size))
    }
    try #require(LoopbackSocket.connect(fd, to: 0x7f00_0001, port.number) == 0, "errno \(errno)")
  }

  init(adopting fd: Int32) {
    self.fd = fd
    setPatience()
  }

  init(unix path: String) throws {
    fd = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
    setPatience()
    var name = sockaddr_un()
    name.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &name.sun_path) { $0.copyBytes(from: path.utf8) }
    let result = withUnsafePointer(to: &name) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        connect(fd, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
      }
    }
    try #require(result == 0, "errno \(errno)")
  }

  private func setPatience() {
    var limit = timeval(tv_sec: 10, tv_usec: 0)
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
  }

  func send(_ text: String) { send(Array(text.utf8)) }

  func send(_ bytes: [UInt8]) {
    var sent = 0
    while sent < bytes.count {
      let count = bytes[sent...].withUnsafeBytes {
        Glibc.send(fd, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
      }
      guard count > 0 else { return }
      sent += count
    }
  }

  /// What comes next, at most `count` bytes; empty at the end. Throws on a reset and when nothing comes.
  func read(_ count: Int = 65536) throws -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: count)
    let got = recv(fd, &bytes, count, 0)
    guard got >= 0 else { throw GaveUp(description: errno == EAGAIN ? "nothing came" : "errno \(errno)") }
    return Array(bytes.prefix(got))
  }

  /// Reads until `mark` stands at the end.
  func read(until mark: String) throws -> String {
    var bytes: [UInt8] = []
    while !bytes.suffix(mark.utf8.count).elementsEqual(mark.utf8) {
      let next = try read(1)
      guard !next.isEmpty else { break }
      bytes += next
    }
    return String(decoding: bytes, as: UTF8.self)
  }

  func readExactly(_ count: Int) throws -> [UInt8] {
    var bytes: [UInt8] = []
    while bytes.count < count {
      let next = try read(count - bytes.count)
      guard !next.isEmpty else { throw GaveUp(description: "an end after \(bytes.count) of \(count) bytes") }
      bytes += next
    }
    return bytes
  }

  func readToEnd() throws -> String { String(decoding: try bytesToEnd(), as: UTF8.self) }

  func bytesToEnd() throws -> [UInt8] {
    var bytes: [UInt8] = []
    while true {
      let next = try read()
      if next.isEmpty { return bytes }
      bytes += next
    }
  }

  /// What came until the connection ended, in order or by a reset; one that does not end is a failure.
  func whateverComes() -> (bytes: [UInt8], wasReset: Bool) {
    var bytes: [UInt8] = []
    while let next = try? read() {
      if next.isEmpty { return (bytes, false) }
      bytes += next
    }
    if errno == EAGAIN { Issue.record("the connection is open still") }
    return (bytes, true)
  }

  func shutdownWrite() { shutdown(fd, Int32(SHUT_WR)) }

  /// Ends the connection with a reset.
  func reset() {
    var value = linger(l_onoff: 1, l_linger: 0)
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &value, socklen_t(MemoryLayout<linger>.size))
    close()
  }

  func close() {
    if !isClosed.exchange(true, ordering: .relaxed) { Glibc.close(fd) }
  }

  deinit { close() }
}
