import Control
import Dispatch
import EventLoop
import Gateway
import Glibc
import Keeper
import Logging
import Policy

/// A gate as a service, in the order of its life: limits, start, word, signals, end.
struct Service: Sendable {
  /// What open connections get to finish in.
  static let grace: Duration = .seconds(10)
  /// What the gate listens to, and where that comes. Every other signal does what it does by default.
  private static let signals = [SIGHUP, SIGTERM, SIGINT]
  fileprivate static let queue = DispatchQueue(label: "exitgate.service")

  private let configuration: GateConfiguration
  private let environment: [String: String]
  private let words: Logger

  init(_ configuration: GateConfiguration, environment: [String: String]) {
    var configuration = configuration
    configuration.onPrepared = returnStartPages
    self.configuration = configuration
    self.environment = environment
    words = Logger(label: "exitgate", factory: { _ in WordsHandler() })
  }

  /// Starts the gate and runs it until a signal ends the process.
  ///
  /// - Throws: `Failure` when it cannot start; nothing but the kernel's table is left behind then.
  func run() throws(Failure) -> Never {
    raiseDescriptorLimit()
    shareHeap()
    workInBatches()
    ignoreSIGPIPE()
    signal(SIGXFSZ, SIG_IGN)  // a file-size limit then fails the write, and with it new allows
    let gate: Gate
    do throws(Failure) { gate = try start() } catch {
      configuration.fence?.end()
      throw error
    }
    // Nobody is told before the watch has begun, so that whoever hears 'ready' may send any of them.
    let signals = blockSignals()
    let watch = watchSignals(of: gate) { announce(gate) }
    withExtendedLifetime((gate, watch)) { rest(signals) }
  }

  /// Keeps the watched signals from this thread, which would take them from the watch, and answers which.
  private func blockSignals() -> sigset_t {
    var watched = sigset_t()
    sigemptyset(&watched)
    for number in Self.signals { sigaddset(&watched, number) }
    pthread_sigmask(SIG_BLOCK, &watched, nil)
    return watched
  }

  /// Leaves everything to the queues. `dispatchMain` would end this thread, for which the C library reads the whole
  /// program's tables of how to unwind its stack, and keeps them in memory.
  private func rest(_ signals: sigset_t) -> Never {
    var signals = signals
    while true { sigsuspend(&signals) }
  }

  private func start() throws(Failure) -> Gate {
    do throws(StartError) { return try Gate.start(configuration, words: words) } catch {
      for problem in error.problems.dropLast() { words.error("\(problem)") }
      throw Failure(status: error.exitStatus, error.problems.last ?? "the gate does not start.")
    }
  }

  private func announce(_ gate: Gate) {
    gate.status { [words, environment] status in
      for listener in status.listeners { words.notice("listening on \(listener.address)") }
      for listener in status.dns?.listeners ?? [] { words.notice("answering DNS on \(listener)") }
      if let warning = status.warning { words.warning("\(warning)") }
      words.notice("ready")
      ServiceNotice.ready.send(environment: environment)
    }
  }

  private func watchSignals(of gate: Gate, ready: @escaping @Sendable () -> Void) -> SignalWatch {
    // Signals come on one queue alone, which counts the requests to end.
    let ending = Ending()
    let handler = { @Sendable [words, environment, fence = configuration.fence] (signal: Int32) in
      guard signal != SIGHUP else { return gate.reload { _ in } }
      guard ending.begin() else {
        words.warning("ended at once")
        fence?.end()
        exit(128 + signal)
      }
      words.notice("ending; open connections get \(span(Self.grace))")
      ServiceNotice.stopping.send(environment: environment)
      gate.drain(within: Self.grace) {
        fence?.end()
        exit(0)
      }
    }
    return SignalWatch.on(Self.signals, queue: Self.queue, handler: handler, ready: ready)
  }
}

/// Whether the service was told to end.
///
/// `@unchecked Sendable`: touched on the service's queue alone, which `begin` checks.
private final class Ending: @unchecked Sendable {
  private var hasBegun = false

  /// - Returns: Whether this is the first time.
  func begin() -> Bool {
    dispatchPrecondition(condition: .onQueue(Service.queue))
    defer { hasBegun = true }
    return !hasBegun
  }
}
