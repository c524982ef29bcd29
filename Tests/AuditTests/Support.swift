import Addressing
import Foundation
import LogFixtures
import Policy
import Synchronization
import SystemPackage
import Testing

@testable import Audit

extension Scratch {
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
  at time: Int64 = someTime, agent: AgentName = .default, layer: Layer = .connect, wouldDeny: Bool = false,
  raw: [UInt8]? = nil, detail: String? = nil
) -> DecisionRecord {
  .sample(
    host, raw: raw, verdict: verdict, reason: reason, wouldDeny: wouldDeny, layer: layer, agent: agent,
    detail: detail, at: time, flow: flow)
}

func denial(_ host: String, at time: Int64 = someTime, agent: AgentName = .default) -> DecisionRecord {
  decision(host, verdict: .deny, reason: .noRule, at: time, agent: agent)
}

func closing(
  _ host: String = "api.example.test", flow: UInt64 = 1, out: UInt64 = 10, in received: UInt64 = 20,
  reason: CloseReason = .finished
) -> CloseRecord {
  .sample(
    host, flow: flow, reason: reason, address: IPAddress("192.0.2.7").map { Endpoint($0, .https) }, out: out,
    in: received)
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
