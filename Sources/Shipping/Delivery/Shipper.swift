import Audit
import Glibc
import Policy
import TLSClient

/// What a shipper is told.
public struct ShipperSettings {
  /// The log.
  public var log: String
  /// Where its position is kept.
  public var state: String
  /// Where records go.
  public var target: ShippingTarget
  /// Whom to believe; nil for a target in the clear.
  public var tls: TLSSettings?
  /// Whether a target in the clear may be on another machine.
  public var mayLeaveInClear = false
  /// Whether it ends when everything is shipped, and at the first failure.
  public var endsWhenDrained = false
  /// Where a gate's metrics are read; nil: nowhere.
  public var metrics: LocalPlace?
  /// Where it says how far it is; nil: nowhere.
  public var board: ShippingBoard?
  /// What records say of where they come from.
  public var source: ExportSource

  /// Names the log, the state file, the target and the source.
  public init(log: String, state: String, target: ShippingTarget, source: ExportSource) {
    (self.log, self.state, self.target, self.source) = (log, state, target, source)
  }
}

/// Reads a log as it is written and has a target take every record: one thread, which waits where it must, in a process
/// of its own, so that whatever happens to it the gate goes on.
public final class Shipper {
  private let settings: ShipperSettings
  private let waiter: Waiter
  private let say: (String) -> Void
  private var record: ShippingRecord
  private let first: ShippingRecord
  private var shipment: Shipment
  private var queue: RecordQueue
  private var courier: any Courier
  /// Whether the signed head is to be sent before the next records.
  private var owesHead = false
  private var headSent: UInt64 = 0
  /// Of records in batches that the target has taken otherwise.
  private var partlyRefused: UInt64 = 0
  /// Records refused one after the other, with none taken between them.
  private var refusedInARow = 0
  private var saidAt: UInt64?
  private let startedAt = wallTime()
  private var metricsDue: UInt64 = 0

  /// How many records in a row may be given up. A target that refuses more takes none: it is set wrong, and waited for.
  static let refusalLimit = 3
  /// In milliseconds, how often a failure that lasts is told.
  static let wordsInterval: UInt64 = 60_000
  /// In milliseconds, how often metrics are sent.
  static let metricsInterval: UInt64 = 15_000

  /// Reads the state and finds the place in the log.
  public init(_ settings: ShipperSettings, waiter: Waiter, say: @escaping (String) -> Void)
    throws(ShippingError)
  {
    (self.settings, self.waiter, self.say) = (settings, waiter, say)
    record = try ShippingRecord.of(settings.log, at: settings.state)
    first = record
    settings.board?.post(record)
    shipment = Shipment(behind: record.position, endsWhenDrained: settings.endsWhenDrained)
    do { queue = try RecordQueue(path: settings.log, behind: record.position) } catch { throw .file(error) }
    let connect = { () throws(ConnectionError) -> Stream in
      try Stream(
        to: settings.target, settings: settings.tls, mayLeaveInClear: settings.mayLeaveInClear, waiter: waiter
      )
    }
    courier =
      settings.target.form == .syslog
      ? SyslogCourier(from: settings.source, connect: connect)
      : OTLPCourier(
        to: "\(settings.target.host):\(settings.target.port)", from: settings.source, connect: connect)
  }

  /// Ships until it is told to stop, or everything is shipped.
  ///
  /// - Returns: Whether everything was shipped, and nothing of it refused.
  /// - Throws: When the log cannot be read, or the position not be kept.
  public func run() throws(ShippingError) -> Bool {
    while true {
      try fill()
      let now = monotonicMilliseconds()
      if metricsAreDue(at: now) { try attempt { () throws(ConnectionError) in try sendMetrics() } }
      switch shipment.next(at: now, hasMore: !queue.isEmpty, isStopping: waiter.isStopping) {
      case .connect: try attempt { () throws(ConnectionError) in try connect() }
      case .send: try attempt { () throws(ConnectionError) in try sendNext() }
      case .confirm: try attempt { () throws(ConnectionError) in try confirm() }
      case .wait(let milliseconds):
        if courier.isOpen { try attempt { () throws(ConnectionError) in try courier.look() } }
        waiter.sleep(milliseconds)
      case .finish(let isDrained):
        courier.close()
        try save()
        return isDrained && record.refused == first.refused
      }
    }
  }

  private func fill() throws(ShippingError) {
    let notices: [RecordQueue.Notice]
    do { notices = try queue.fill() } catch { throw .file(error) }
    guard !notices.isEmpty else { return }
    for notice in notices { take(notice) }
    let unreadable = notices.count { $0.isUnreadable }
    if unreadable > 1 { say("warning: so are \(unreadable - 1) lines more behind it.") }
    try save()
  }

  private func take(_ notice: RecordQueue.Notice) {
    switch notice {
    case .lost(let from, let to):
      record.lost += to - from + 1
      say("warning: records \(from) to \(to) are gone from the log, and were not shipped.")
    case .rewritten(let number):
      record.rewritten += 1
      say(
        "warning: THE LOG IS NOT THE ONE THAT WAS SHIPPED: record \(number) is another one, or gone. What is there now is shipped too; compare with 'exitgate log verify --checkpoint'."
      )
    case .unreadable(let file, let line, let isFirst):
      record.unreadable += 1
      guard isFirst else { return }
      say("warning: \(file):\(line) is no record, and is not shipped.")
    }
  }

  /// Does a step on the network; when it fails, everything unconfirmed is to be sent again after a pause.
  private func attempt(_ step: () throws(ConnectionError) -> Void) throws(ShippingError) {
    let before = shipment.confirmed
    var failure: ConnectionError?
    do { try step() } catch { failure = error }
    if let failure {
      try fail(failure)
    } else if shipment.confirmed != before {
      try recover()
    }
  }
}

/// The steps.
extension Shipper {
  private func connect() throws(ConnectionError) {
    try courier.open()
    shipment.connected()
    owesHead = true
  }

  private func sendNext() throws(ConnectionError) {
    try sendHead()
    let batch = queue.records.prefix(courier.batchLimit)
    guard let end = batch.last?.end else { return }
    let (delivery, bytes) = try courier.send(batch.map(\.record))
    switch delivery {
    case .sent: pass(batch.count, bytes, through: end)
    case .taken: pass(batch.count, bytes, through: end, isConfirmed: true)
    case .takenBut(let count, let why):
      record.refused += min(count, UInt64(batch.count))
      partlyRefused += min(count, UInt64(batch.count))
      say("warning: \(settings.target) refuses \(count) records for good: \(why)")
      pass(batch.count, bytes, through: end, isConfirmed: true)
    case .refused(let why) where batch.count == 1:
      guard refusedInARow < Self.refusalLimit else { throw .refused("it refuses all: \(why)", pause: 0) }
      skip(end, because: why)
    case .refused: break
    case .later(let why, let pause): throw .refused(why, pause: pause)
    }
  }

  /// The head says how far the log goes before what leads there has arrived: from then on no record can be kept back.
  private func sendHead() throws(ConnectionError) {
    guard owesHead else { return }
    owesHead = false
    guard let head = SignedHead(ofLogAt: settings.log), head.sequence > shipment.confirmed?.sequence ?? 0,
      head.sequence != headSent
    else { return }
    if case .later(let why, let pause) = try courier.send(head) { throw .refused(why, pause: pause) }
    headSent = head.sequence
  }

  private func pass(_ count: Int, _ bytes: Int, through end: LogPosition, isConfirmed: Bool = false) {
    shipment.sent(UInt64(count), bytes: bytes, through: end, at: monotonicMilliseconds())
    if isConfirmed { shipment.confirm() }
    refusedInARow = 0
    queue.remove(count)
  }

  private func skip(_ end: LogPosition, because why: String) {
    record.refused += 1
    refusedInARow += 1
    say("warning: \(settings.target) refuses record \(end.sequence) for good: \(why).")
    shipment.skip(through: end)
    queue.remove(1)
  }

  private func confirm() throws(ConnectionError) {
    try courier.confirm()
    shipment.confirm()
    shipment.closed()
  }
}

/// What is kept and told.
extension Shipper {
  private func recover() throws(ShippingError) {
    if let since = record.failingSince {
      let pause = (wallTime().milliseconds - since.milliseconds) / 1000
      say("\(settings.target) takes records again, after \(pause) s.")
      record.failingSince = nil
      saidAt = nil
    }
    record.confirmedAt = wallTime()
    try save()
  }

  private func fail(_ error: ConnectionError) throws(ShippingError) {
    let cause = "\(error)"
    var atLeast: UInt64 = 0
    if case .refused(_, let pause) = error { atLeast = pause }
    courier.close()
    headSent = 0
    let mustReadAgain = shipment.pending > 0
    let now = monotonicMilliseconds()
    let pause = shipment.fail(at: now, chance: Double.random(in: 0...1), atLeast: atLeast)
    if mustReadAgain {
      do { queue = try RecordQueue(path: settings.log, behind: shipment.confirmed, seen: queue.seen) } catch {
        throw .file(error)
      }
    }
    if record.failingSince == nil { record.failingSince = wallTime() }
    record.cause = cause
    try save()
    guard !settings.endsWhenDrained, saidAt.map({ now >= $0 + Self.wordsInterval }) ?? true else { return }
    saidAt = now
    say(
      "warning: \(settings.target): \(cause). Tried again in \(pause) ms and less and less often, up to once a minute."
    )
  }

  private func save() throws(ShippingError) {
    record.position = shipment.confirmed
    record.shipped = first.shipped + shipment.shipped - partlyRefused
    record.resent = first.resent + shipment.resent
    settings.board?.post(record)
    try record.write(settings.state)
  }

  private func metricsAreDue(at now: UInt64) -> Bool {
    settings.target.takesMetrics && !settings.endsWhenDrained && now >= metricsDue
      && !shipment.isResting(at: now)
      && !waiter.isStopping
  }

  private func sendMetrics() throws(ConnectionError) {
    metricsDue = monotonicMilliseconds() + Self.metricsInterval
    guard var courier = courier as? OTLPCourier, let request = metrics().request else { return }
    defer { self.courier = courier }
    if case .later(let why, let pause) = try courier.send(metrics: request) {
      throw .refused(why, pause: pause)
    }
  }

  private func metrics() -> OTLPMetrics {
    var metrics = OTLPMetrics(from: settings.source)
    let now = wallTime(), span = OTLPMetrics.Span(start: startedAt, end: now)
    if let place = settings.metrics, let page = readMetrics(of: place) { metrics.add(page, at: now) }
    let counted: [(String, String, UInt64)] = [
      ("shipped", "Records that the target has taken.", shipment.shipped - partlyRefused),
      ("resent", "Records that were sent once more.", shipment.resent),
      ("refused", "Records that the target refused for good.", record.refused - first.refused),
      ("lost", "Records that were gone from the log before they were shipped.", record.lost - first.lost),
    ]
    for (name, help, value) in counted {
      metrics.add("exitgate_ship_\(name)_records_total", help, Double(value), grows: true, span)
    }
    if let lag = try? ShippingLag(behind: shipment.confirmed, ofLogAt: settings.log) {
      let age = lag.oldest.map { max(0, Double(now.milliseconds - $0.milliseconds) / 1000) } ?? 0
      metrics.add(
        "exitgate_ship_lag_records", "Records that are not shipped.", Double(lag.records), grows: false, span)
      metrics.add("exitgate_ship_lag_seconds", "Age of the oldest of them.", age, grows: false, span)
    }
    return metrics
  }

  private func readMetrics(of place: LocalPlace) -> MetricsText? {
    do {
      let stream = try Stream(in: place, waiter: waiter)
      let answer = try HTTPPost(authority: place.authority, bodyLimit: 4 << 20).send(
        "GET", "/metrics", [], over: stream)
      return answer.status == 200 ? MetricsText(answer.body) : nil
    } catch { return nil }
  }
}

/// The time of CLOCK_REALTIME.
func wallTime() -> Timestamp {
  var time = timespec()
  clock_gettime(CLOCK_REALTIME, &time)
  return Timestamp(milliseconds: Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000)
}

/// Keeps a second process from shipping by the same state; ends with the process.
public final class ShippingLock {
  private let descriptor: Int32

  /// Takes the lock beside the state file, whose directory is made where it is missing.
  public init(for state: String) throws(ShippingError) {
    do { try OwnFile.prepareDirectory(of: state) } catch { throw .file(error) }
    descriptor = open(state + ".lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
    guard descriptor >= 0, flock(descriptor, LOCK_EX | LOCK_NB) == 0 else { throw .inUse(state) }
  }

  deinit { if descriptor >= 0 { close(descriptor) } }
}
