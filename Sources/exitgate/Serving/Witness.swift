import Addressing
import Approvals
import CLinux
import Confinement
import Control
import Dispatch
import Gateway
import Glibc
import Policy
import PolicyFile

/// Asks a process beside the gate who is behind a connection, for people to see. Nothing is decided by it.
///
/// The gate itself may not look at other processes. It sends two endpoints, gets a few lines back, and waits for
/// nothing: what does not come in time is not known.
///
/// `@unchecked Sendable`: the channel and what waits are touched on `queue` alone.
final class Witness: @unchecked Sendable {
  /// Questions under way; whoever asks more is not told.
  private static let most = 64

  private let queue = DispatchQueue(label: "exitgate.witness")
  private let process: KeeperProcess
  private var source: (any DispatchSourceRead)?
  private var asked: [UInt64: @Sendable (Program) -> Void] = [:]
  private var last: UInt64 = 0
  private var hasBegun = false

  /// Starts it.
  ///
  /// - Parameter diagnosis: A socket by which it asks for those of another network; it is closed here. Nil: of this one.
  /// - Returns: nil where it cannot be had; nobody is told of programs then.
  /// - Precondition: This process has one thread.
  private init?(asking diagnosis: Int32?) {
    let kept = diagnosis.map { [$0] } ?? []
    defer { kept.forEach { _ = close($0) } }
    let started = try? KeeperProcess.start(name: "exitgate-see", keeping: kept, limit: WitnessMessage.limit) {
      channel in
      WitnessProcess(channel, asking: diagnosis).run()
    }
    guard let started else { return nil }
    process = started
  }

  /// Where the policy asks, starts what sees who asks. It lives as long as the configuration does.
  ///
  /// - Precondition: This process has one thread.
  static func begin(for configuration: inout GateConfiguration, asking diagnosis: Int32? = nil) {
    guard let loaded = configuration.firstPolicy, loaded.policy.asks else {
      if let diagnosis { close(diagnosis) }
      configuration.witnessState = { .absent("nothing was asked when the gate started") }
      return
    }
    guard let witness = Witness(asking: diagnosis) else {
      configuration.witnessState = { .absent("the process that looks could not be started") }
      return
    }
    configuration.witness = { witness.find(client: $0, gate: $1, tell: $2) }
    configuration.witnessState = { witness.status }
  }

  /// Hears answers from now on: not before the first question, for it takes threads. On `queue`.
  private func begin() {
    hasBegun = true
    process.channel.stopBlocking()
    let source = DispatchSource.makeReadSource(fileDescriptor: process.channel.descriptor, queue: queue)
    source.setEventHandler { [unowned self] in hear() }
    source.activate()
    self.source = source
  }

  /// Finds who is behind a connection; `tell` is called on another thread, or never.
  func find(client: Endpoint, gate: Endpoint, tell: @escaping @Sendable (Program) -> Void) {
    queue.async { [self] in
      if !hasBegun { begin() }
      guard source != nil, asked.count < Self.most, !process.channel.hasUnsent else { return }
      last += 1
      asked[last] = tell
      let message = WitnessMessage.question(last, client, gate)
      do { try process.channel.send(Array(message.utf8)) } catch { end() }
    }
  }

  /// Whether it looks. Whoever asks begins to hear it, so that its end is known from then on.
  var status: WitnessStatus {
    queue.sync {
      if !hasBegun { begin() }
      return source != nil
        ? WitnessStatus(isRunning: true, sentence: "seen by process \(process.pid)")
        : .absent("the process that looks has ended")
    }
  }

  private func hear() {
    while true {
      switch try? process.channel.receive() {
      case .message(let bytes, _)?:
        guard let (number, program) = WitnessMessage.answer(bytes) else { return end() }
        let tell = asked.removeValue(forKey: number)
        if let program { tell?(program) }
      case .nothingYet?: return
      case .ended?, nil: return end()
      }
    }
  }

  private func end() {
    source?.cancel()
    source = nil
    asked.removeAll()
  }
}

extension WitnessStatus {
  /// Nobody looks, and why.
  static func absent(_ why: String) -> WitnessStatus {
    WitnessStatus(isRunning: false, sentence: "not seen: \(why). Start the gate anew to see them")
  }
}

/// What the gate and its witness tell each other: lines, each with a number in front.
enum WitnessMessage {
  /// In bytes.
  static let limit = 16_384

  static func question(_ number: UInt64, _ client: Endpoint, _ gate: Endpoint) -> String {
    "\(number)\n\(client)\n\(gate)"
  }

  static func question(_ bytes: [UInt8]) -> (number: UInt64, client: Endpoint, gate: Endpoint)? {
    let lines = bytes.split(separator: 10).map { String(decoding: $0, as: UTF8.self) }
    guard lines.count == 3, let number = UInt64(lines[0]), let client = Endpoint(lines[1]),
      let gate = Endpoint(lines[2])
    else { return nil }
    return (number, client, gate)
  }

  /// - Parameter program: nil where nobody was found. No process has the number 0.
  static func answer(_ number: UInt64, _ program: Program?) -> [UInt8] {
    guard let program else { return Array("\(number)".utf8) }
    let texts = [program.command, program.file ?? "", program.workingDirectory].joined(separator: "\0")
    return Array("\(number)\0\(program.processID ?? 0)\0\(texts)".utf8)
  }

  static func answer(_ bytes: [UInt8]) -> (number: UInt64, program: Program?)? {
    let parts = bytes.split(separator: 0, omittingEmptySubsequences: false).map {
      String(decoding: $0, as: UTF8.self)
    }
    guard let number = parts.first.flatMap({ UInt64($0) }) else { return nil }
    guard parts.count > 1 else { return (number, nil) }
    guard parts.count == 5, let process = Int32(parts[1]) else { return nil }
    return (
      number,
      Program(
        command: parts[2], file: parts[3].isEmpty ? nil : parts[3], workingDirectory: parts[4],
        processID: process == 0 ? nil : process)
    )
  }
}
