import Addressing
import Foundation
import Policy
import Synchronization
import SystemPackage
import Testing

@testable import Audit

/// A directory of its own for one test, removed with it; in memory where there
/// is such a place, since every log that is opened waits for its disk.
final class Scratch {
  let path: String

  init() throws {
    let memory = "/dev/shm", hasMemory = FileManager.default.isWritableFile(atPath: memory)
    let parent = hasMemory ? memory : FileManager.default.temporaryDirectory.path
    path = parent + "/audit-\(UUID().uuidString)"
    try FileManager.default.createDirectory(
      atPath: path, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }

  var log: String { path + "/audit.jsonl" }
  func options(rotateAt: Int64 = 64 << 20) -> AuditOptions { AuditOptions(path: log, rotateAt: rotateAt) }
  func read(_ name: String = "audit.jsonl") -> [UInt8] {
    FileManager.default.contents(atPath: path + "/" + name).map(Array.init) ?? []
  }
  func write(_ bytes: [UInt8], to name: String = "audit.jsonl") {
    _ = FileManager.default.createFile(
      atPath: path + "/" + name, contents: Data(bytes), attributes: [.posixPermissions: 0o600])
  }
  func copy(_ from: String, to: String) throws {
    try? FileManager.default.removeItem(atPath: path + "/" + to)
    try FileManager.default.copyItem(atPath: path + "/" + from, toPath: path + "/" + to)
  }
  func lines(_ name: String = "audit.jsonl") -> [[UInt8]] {
    read(name).split(separator: UInt8(ascii: "\n")).map(Array.init)
  }
  func records() throws -> [LogRecord] {
    var reader = try LogReader(path: log), records: [LogRecord] = []
    try reader.forEach { records.append($0) }
    return records
  }
  func verify() throws -> Verification { try LogVerifier(path: log).verify() }
}

/// A clock that moves when it is told to.
final class ManualClock: Sendable {
  private let nanoseconds = Atomic<UInt64>(1_795_600_000_000_000_000)
  /// In milliseconds, how far the wall clock is ahead of the monotonic one.
  private let offset = Atomic<Int64>(0)

  func advance(milliseconds: UInt64) { nanoseconds.add(milliseconds * 1_000_000, ordering: .relaxed) }
  /// Sets the wall clock; the monotonic one knows nothing of it.
  func setWall(aheadBy milliseconds: Int64) { offset.store(milliseconds, ordering: .relaxed) }
  var now: Timestamp {
    let elapsed = Int64(nanoseconds.load(ordering: .relaxed) / 1_000_000)
    return Timestamp(milliseconds: elapsed + offset.load(ordering: .relaxed))
  }
  var clock: AuditClock {
    AuditClock(wall: { self.now }, monotonic: { self.nanoseconds.load(ordering: .relaxed) })
  }
}

/// A disk that fills up and breaks when it is told to.
final class Disk: Sendable {
  struct State {
    var room = Int.max
    var failsToSync = false
    var failsToTruncate = false
  }
  let state = Mutex(State())

  func set(_ change: (inout State) -> Void) { state.withLock { change(&$0) } }
}

/// A file on such a disk: takes what there is room for, as write(2) does.
final class DiskFile: LogFile {
  let file: SystemLogFile
  let disk: Disk

  init(_ file: SystemLogFile, _ disk: Disk) {
    self.file = file
    self.disk = disk
  }

  func write(_ bytes: UnsafeRawBufferPointer) throws(Errno) -> Int {
    let taken = disk.state.withLock { state in
      let taken = min(bytes.count, state.room)
      if state.room != .max { state.room -= taken }
      return taken
    }
    guard taken > 0 else { throw .noSpace }
    return try file.write(UnsafeRawBufferPointer(rebasing: bytes[..<taken]))
  }

  func truncate(to size: Int64) throws(Errno) {
    if disk.state.withLock({ $0.failsToTruncate }) { throw .ioError }
    try file.truncate(to: size)
  }

  func synchronize() throws(Errno) {
    if disk.state.withLock({ $0.failsToSync }) { throw .ioError }
    try file.synchronize()
  }

  func status() throws(Errno) -> FileStatus { try file.status() }
}

func decision(
  _ host: String = "api.example.test", flow: UInt64 = 1, verdict: Action = .allow, reason: Reason = .allowed,
  at time: Int64 = 1_795_600_000_000, agent: AgentName = .default, layer: Layer = .connect,
  wouldDeny: Bool = false,
  raw: [UInt8]? = nil, detail: String? = nil
) -> DecisionRecord {
  let destination = (try? Host(host.utf8)).map { Destination($0, .https, .https) }
  return DecisionRecord(
    time: Timestamp(milliseconds: time), flow: flow, agent: agent, client: "127.0.0.1:50000",
    listener: "127.0.0.1:3128", destination: raw == nil ? destination : nil, rawHost: raw, layer: layer,
    verdict: verdict, wouldDeny: wouldDeny, reason: reason, rule: RuleID("test/1"), generation: 7,
    detail: detail)
}

func denial(_ host: String, at time: Int64 = 1_795_600_000_000, agent: AgentName = .default) -> DecisionRecord
{
  decision(host, verdict: .deny, reason: .noRule, at: time, agent: agent)
}

func closing(
  _ host: String = "api.example.test", flow: UInt64 = 1, out: UInt64 = 10, in received: UInt64 = 20,
  reason: CloseReason = .finished
) -> CloseRecord {
  CloseRecord(
    time: Timestamp(milliseconds: 1_795_600_001_000), flow: flow, agent: .default, client: "127.0.0.1:50000",
    destination: (try? Host(host.utf8)).map { Destination($0, .https, .https) }, rule: RuleID("test/1"),
    generation: 7, reason: reason, address: IPAddress("192.0.2.7").map { Endpoint($0, .https) },
    bytesOut: out,
    bytesIn: received, duration: .milliseconds(1500))
}

/// Runs one test of this binary in a process of its own, where it finds
/// `variable` in its environment: for what a process does to itself.
func ownProcess(_ test: String, _ variable: String, _ value: String, through wrapper: [String] = [])
  -> Process
{
  let child = Process(), binary = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath().path
  let command = wrapper + [binary, "--testing-library", "swift-testing", "--filter", test]
  child.executableURL = URL(fileURLWithPath: command[0])
  child.arguments = Array(command.dropFirst())
  child.environment = ProcessInfo.processInfo.environment.merging([variable: value]) { $1 }
  child.standardOutput = FileHandle.nullDevice
  child.standardError = FileHandle.nullDevice
  return child
}

/// What a test in a process of its own leaves at its end: without it, a filter
/// that selects nothing would pass for a success.
func leaveProof(_ value: String) {
  _ = FileManager.default.createFile(atPath: value + ".done", contents: nil)
}

/// Runs such a process to its end and checks its status and its proof.
func expectSuccess(of child: Process, proof value: String) throws {
  try child.run()
  child.waitUntilExit()
  #expect(child.terminationStatus == 0)
  #expect(FileManager.default.fileExists(atPath: value + ".done"))
}

/// Whether this process may mount in a mount namespace of its own.
func canMount() -> Bool {
  let probe = Process()
  probe.executableURL = URL(fileURLWithPath: "/usr/bin/unshare")
  probe.arguments = ["-m", "--propagation", "private", "mount", "-t", "tmpfs", "none", "/mnt"]
  probe.standardError = FileHandle.nullDevice
  guard (try? probe.run()) != nil else { return false }
  probe.waitUntilExit()
  return probe.terminationStatus == 0
}

/// Numbers that are the same in every run, so that a failure can be repeated.
struct Seeded: RandomNumberGenerator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var z = state
    z = (z ^ z >> 30) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ z >> 27) &* 0x94d0_49bb_1331_11eb
    return z ^ z >> 31
  }
}

extension String {
  /// The text with the first `old` replaced.
  func replacing(_ old: String, with new: String) -> String {
    guard let range = range(of: old) else { return self }
    return replacingCharacters(in: range, with: new)
  }
}

extension AuditLog {
  /// Begins a new file, however small the old one is.
  func setAside() {
    writer.withLock { writer in
      rotate(&writer)
      commitInPlace(&writer, clock.wall(), checkpoint: false)
    }
  }
}
