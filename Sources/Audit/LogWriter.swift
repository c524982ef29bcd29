import Dispatch
import Glibc
import Policy
import Synchronization
import SystemPackage

/// The file's side of the log. Confined to the log's `writer` lock.
struct LogWriter: Sendable {
  /// In bytes; an append that finds more waiting commits by itself.
  static let batchLimit = 256 << 10
  /// How many records the kernel may have that the disk has not.
  static let syncRecords = 100
  /// In milliseconds, how long it may have them.
  static let syncDelay = 200
  /// In nanoseconds, between two tries to write to a file that failed.
  static let retryDelay: UInt64 = 100_000_000

  /// In nanoseconds, between two tries to begin a new file.
  static let rotateDelay: UInt64 = 60_000_000_000

  var file: any LogFile
  /// Of the file's whole records, in bytes.
  var size: Int64
  /// The last record in the file.
  var committed: ChainHead
  var wrap: @Sendable (SystemLogFile) -> any LogFile
  var spare = Batch()
  var failure: Failure?
  var statistics = AuditStatistics()
  /// When the next checkpoint is due, on the monotonic clock, in nanoseconds.
  var checkpointDue: UInt64 = 0
  /// A checkpoint that the head file is to name once the disk has it.
  var headToPublish: (head: ChainHead, time: Timestamp)?
  var unsynced = 0
  var isSyncQueued = false
  var isTimerArmed = false
  var isClosed = false
  /// Whether there may be more segments than are to be kept.
  var mayHaveTooMany = true
  /// When rotation may be tried again after it failed.
  var rotateAfter: UInt64 = 0

  struct Failure: Sendable {
    var error: Errno
    /// On the monotonic clock, in nanoseconds.
    var retryAt: UInt64
  }

  init(
    file: any LogFile, size: Int64, committed: ChainHead,
    wrap: @escaping @Sendable (SystemLogFile) -> any LogFile
  ) {
    self.file = file
    self.size = size
    self.committed = committed
    self.wrap = wrap
  }

  /// Writes all of `bytes`, or takes back what was written of them.
  mutating func write(_ bytes: [UInt8]) throws(Errno) {
    if failure != nil { try file.truncate(to: size) }
    try file.writeAll(bytes)
    size += Int64(bytes.count)
  }
}

extension AuditLog {
  /// Writes what is pending; with `checkpoint`, a checkpoint behind it.
  func commit(_ writer: inout LogWriter, checkpoint: Bool) -> Bool {
    guard !writer.isClosed, mayTry(writer) else { return refuse(writer) }
    if writer.failure != nil, !checkPlace(&writer, clock.wall()) {
      fail(&writer, Batch(), .noSuchFileOrDirectory)
      return false
    }
    let batch = takeBatch(&writer, checkpoint: checkpoint)
    guard batch.records > 0 else { return true }
    do throws(Errno) {
      try writer.write(batch.bytes)
    } catch {
      writer.statistics.fail("cannot write: \(error)")
      fail(&writer, batch, error)
      return false
    }
    succeed(&writer, batch)
    return true
  }

  /// Commits after a look whether the file is still where it belongs.
  @discardableResult
  func commitInPlace(_ writer: inout LogWriter, _ now: Timestamp, checkpoint: Bool) -> Bool {
    guard writer.failure != nil || checkPlace(&writer, now) else {
      fail(&writer, Batch(), .noSuchFileOrDirectory)
      return false
    }
    return commit(&writer, checkpoint: checkpoint)
  }

  private func refuse(_ writer: LogWriter) -> Bool {
    chain.withLock { $0.abandon(Batch(), committed: writer.committed) }
    return false
  }

  private func mayTry(_ writer: LogWriter) -> Bool {
    guard let failure = writer.failure else { return true }
    return clock.monotonic() >= failure.retryAt
  }

  private func takeBatch(_ writer: inout LogWriter, checkpoint: Bool) -> Batch {
    let error = writer.statistics.lastError ?? ""
    return chain.withLock { chain in
      if chain.isCollapsing { chain.appendReport(at: clock.wall(), detail: error) }
      if checkpoint || chain.sinceCheckpoint >= Checkpoint.interval {
        chain.appendCheckpoint(key: key, at: clock.wall())
      }
      return chain.take(spare: &writer.spare)
    }
  }

  private func fail(_ writer: inout LogWriter, _ batch: Batch, _ error: Errno) {
    try? writer.file.truncate(to: writer.size)
    writer.failure = LogWriter.Failure(error: error, retryAt: clock.monotonic() &+ LogWriter.retryDelay)
    chain.withLock { $0.abandon(batch, committed: writer.committed) }
    available.store(false, ordering: .relaxed)
  }

  private func succeed(_ writer: inout LogWriter, _ batch: Batch) {
    writer.committed = batch.head
    writer.statistics.records += UInt64(batch.records)
    writer.statistics.bytes += UInt64(batch.bytes.count)
    writer.statistics.lastSequence = batch.head.sequence
    if writer.failure != nil || chain.withLock({ $0.isCollapsing }) { recover(&writer) }
    if batch.endsInCheckpoint {
      writer.checkpointDue = clock.monotonic() &+ Checkpoint.timeInterval
      writer.headToPublish = (batch.head, clock.wall())
    }
    writer.unsynced += batch.records
    requestSync(&writer, atOnce: !batch.urgent.isEmpty || batch.endsInCheckpoint)
    writer.spare = batch
    if writer.size >= options.rotateAt { rotate(&writer) }
  }

  private func recover(_ writer: inout LogWriter) {
    writer.failure = nil
    chain.withLock { $0.finishReport() }
    available.store(true, ordering: .relaxed)
  }
}

/// Having the disk take what the kernel has, on the log's own queue.
extension AuditLog {
  private func requestSync(_ writer: inout LogWriter, atOnce: Bool) {
    if atOnce || writer.unsynced >= LogWriter.syncRecords {
      guard !writer.isSyncQueued else { return }
      writer.isSyncQueued = true
      queue.async { self.synchronize() }
    } else if !writer.isTimerArmed {
      writer.isTimerArmed = true
      queue.asyncAfter(deadline: .now() + .milliseconds(LogWriter.syncDelay)) { self.synchronize() }
    }
  }

  /// Runs on the queue. The head file names a checkpoint only after the disk
  /// has it, else a power cut would look like a cut tail.
  func synchronize() {
    let (file, head, count) = writer.withLock { writer in
      writer.isSyncQueued = false
      writer.isTimerArmed = false
      defer { writer.headToPublish = nil }
      return (writer.file, writer.headToPublish, writer.unsynced)
    }
    guard count > 0 || head != nil else { return }
    do {
      try file.synchronize()
      writer.withLock { $0.unsynced -= min($0.unsynced, count) }
      if let head { publish(head.head, head.time) }
    } catch {
      writer.withLock { failSync(&$0, error) }
    }
  }

  private func publish(_ head: ChainHead, _ time: Timestamp) {
    guard let content = HeadFile(head, time: time, key: key)?.encoded else { return }
    do {
      try FileAccess.replace(HeadFile.path(of: options.path), with: content)
    } catch {
      writer.withLock { $0.statistics.fail(error.description) }
    }
  }

  /// The disk may have dropped what the kernel held: refuse until a write goes
  /// well again, and let the record about it say so.
  private func failSync(_ writer: inout LogWriter, _ error: Errno) {
    writer.statistics.fail("cannot have the disk take \(writer.unsynced) records: \(error)")
    writer.unsynced = 0
    writer.failure = LogWriter.Failure(error: error, retryAt: clock.monotonic() &+ LogWriter.retryDelay)
    chain.withLock { $0.abandon(Batch(), committed: writer.committed) }
    available.store(false, ordering: .relaxed)
  }
}
