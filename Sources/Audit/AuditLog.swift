import Dispatch
import Glibc
import Policy
import Synchronization
import SystemPackage

/// The log: sealed records, one chain, one file that is written to.
///
/// `append` encodes outside the lock and seals under it; `commit` hands all that
/// was appended to the kernel in one write. A queue of the log's own has the
/// disk take it, so neither waits for the disk. When the file cannot be written,
/// what was not is taken back, `commit` answers false, and a later commit tries
/// again: the caller refuses what it would have allowed.
///
/// Two locks, `writer` before `chain`, neither held over fdatasync.
public final class AuditLog: Sendable {
  let options: AuditOptions
  let key: SigningKey
  let clock: AuditClock
  private let lock: LogLock
  let queue = DispatchQueue(label: "exitgate.audit")
  let chain: Mutex<ChainState>
  let writer: Mutex<LogWriter>
  private let chatter = Mutex(Chatter())
  let available = Atomic(true)

  /// Opens the log, brings a torn end in order, and writes the start record.
  ///
  /// The key and the directory are made when they are not there.
  ///
  /// - Throws: `AuditError`: a file or directory that is not safe, a second
  ///   writer, or a file that cannot be written.
  public static func open(_ options: AuditOptions) throws(AuditError) -> AuditLog {
    try open(options, clock: .system) { $0 }
  }

  /// Opens the log with another clock, and with `wrap` around its files.
  static func open(
    _ options: AuditOptions, clock: AuditClock, wrap: @escaping @Sendable (SystemLogFile) -> any LogFile
  ) throws(AuditError) -> AuditLog {
    try FileAccess.prepareDirectory(of: options.path)
    let lock = try LogLock(options.path + ".lock")
    let key = try KeyStore.load(options.keyPath)
    let recovery = try Recovery.run(options, key: key)
    options.onRecovered?()
    let log = AuditLog(options, key: key, clock: clock, lock: lock, recovery: recovery, wrap: wrap)
    try log.begin(recovery)
    return log
  }

  private init(
    _ options: AuditOptions, key: SigningKey, clock: AuditClock, lock: LogLock, recovery: Recovery,
    wrap: @escaping @Sendable (SystemLogFile) -> any LogFile
  ) {
    self.options = options
    self.key = key
    self.clock = clock
    self.lock = lock
    chain = Mutex(ChainState(head: recovery.head))
    writer = Mutex(
      LogWriter(file: wrap(recovery.file), size: recovery.size, committed: recovery.head, wrap: wrap))
  }

  private func begin(_ recovery: Recovery) throws(AuditError) {
    let now = clock.wall()
    if !recovery.findings.isEmpty {
      append(
        .lifecycle(
          LifecycleRecord(
            time: now, event: .recovered, detail: recovery.findings.joined(separator: "; "),
            counts: [("cut_bytes", UInt64(recovery.cut))])))
    }
    append(.lifecycle(LifecycleRecord(time: now, event: .start, counts: [("pid", UInt64(getpid()))])))
    guard writer.withLock({ commit(&$0, checkpoint: true) }) else {
      let error = writer.withLock { $0.failure?.error ?? .ioError }
      throw AuditError(path: options.path, problem: .failed(operation: "write", error))
    }
  }

  /// Whether another process writes to the log at `path` now.
  public static func isInUse(_ path: String) -> Bool { LogLock.isTaken(of: path) }

  /// Seals a record; it reaches the file with the next `commit`.
  ///
  /// Identical denials are counted instead, see `Chatter`; not those of layer
  /// dns, whose writer counts by itself and appends a roll-up.
  ///
  /// - Returns: A mark for `commit(since:)`.
  @discardableResult
  public func append(_ record: Record) -> AppendMark {
    if let tell = options.onDenial, case .decision(let decision) = record,
      decision.verdict == .deny || decision.wouldDeny
    {
      tell(decision)
    }
    if case .decision(let decision) = record, decision.verdict == .deny, decision.layer != .dns,
      !chatter.withLock({ $0.admit(decision, at: clock.monotonic()) })
    {
      return .nothing
    }
    let (mark, pending) = enqueue(record)
    if pending > LogWriter.batchLimit { _ = commit() }
    return mark
  }

  /// Seals a record, also where the writer is locked.
  ///
  /// - Returns: A mark, and how many bytes wait for a write.
  @discardableResult
  func enqueue(_ record: Record) -> (AppendMark, Int) {
    var json = JSONWriter(reserving: 640)
    record.encode(into: &json)
    return chain.withLock { chain in
      (AppendMark(number: chain.append(record, fields: json.bytes)), chain.pending.bytes.count)
    }
  }

  /// Hands everything appended so far to the kernel, in one write.
  ///
  /// - Returns: false when the log cannot be written: what waits for this
  ///   record must be refused. At most every 100 ms a new try is made.
  public func commit() -> Bool {
    writer.withLock { commit(&$0, checkpoint: false) }
  }

  /// Commits, and answers whether everything since `mark` is in the file, also
  /// when another thread's commit failed and one after it went well in between.
  public func commit(since mark: AppendMark) -> Bool {
    commit() && chain.withLock { $0.lostThrough < mark.number }
  }

  /// Whether the last write went well.
  public var isAvailable: Bool { available.load(ordering: .relaxed) }

  /// What the gate calls each second: writes roll-ups, a checkpoint when one is
  /// due, looks whether the file is still in its place, commits, and takes files
  /// away that are too many. What is due is asked of the monotonic clock.
  ///
  /// - Parameter now: The time of day, for the records.
  @discardableResult
  public func tick(_ now: Timestamp) -> Bool {
    for rollUp in chatter.withLock({ $0.rollUps(at: clock.monotonic()) }) { append(.rollUp(rollUp)) }
    return writer.withLock { writer in
      let isDue = clock.monotonic() >= writer.checkpointDue
      let checkpoint = isDue && chain.withLock { $0.sinceCheckpoint > 0 }
      guard commitInPlace(&writer, now, checkpoint: checkpoint) else { return false }
      removeOldest(&writer, now)
      return writer.failure == nil
    }
  }

  /// Waits until the disk has everything that was committed.
  public func sync() {
    queue.sync { self.synchronize() }
  }

  /// Writes what was counted, the stop record and a checkpoint, waits for the
  /// disk, and takes no more records.
  public func close() {
    guard !writer.withLock({ $0.isClosed }) else { return }
    for rollUp in chatter.withLock({ $0.drain() }) { append(.rollUp(rollUp)) }
    append(.lifecycle(LifecycleRecord(time: clock.wall(), event: .stop)))
    writer.withLock { writer in
      _ = commit(&writer, checkpoint: true)
      writer.isClosed = true
    }
    available.store(false, ordering: .relaxed)
    sync()
    lock.release()
  }

  /// How the log is doing.
  public var statistics: AuditStatistics {
    var result = writer.withLock { writer in
      var statistics = writer.statistics
      statistics.lag = writer.unsynced
      return statistics
    }
    result.collapsed += chain.withLock { $0.collapsed.total }
    result.isAvailable = isAvailable
    return result
  }

  /// The key that others check this log with.
  public var publicKey: VerifyingKey { key.publicKey }
}

/// A place in the order of appended records.
public struct AppendMark: Hashable, Comparable, Sendable {
  let number: UInt64

  /// Before nothing: no loss concerns it.
  public static let nothing = AppendMark(number: .max)

  public static func < (left: AppendMark, right: AppendMark) -> Bool { left.number < right.number }
}

/// The clocks, so that tests can do without waiting.
struct AuditClock: Sendable {
  /// The time of day.
  var wall: @Sendable () -> Timestamp
  /// Nanoseconds of a clock that never goes back.
  var monotonic: @Sendable () -> UInt64

  static let system = AuditClock(
    wall: { Timestamp(milliseconds: Int64(nanoseconds(of: CLOCK_REALTIME) / 1_000_000)) },
    monotonic: { nanoseconds(of: CLOCK_MONOTONIC) })
}

private func nanoseconds(of clock: clockid_t) -> UInt64 {
  var time = timespec()
  clock_gettime(clock, &time)
  return UInt64(clamping: time.tv_sec) &* 1_000_000_000 &+ UInt64(clamping: time.tv_nsec)
}
