import Policy

/// Records that were sealed and wait for one write.
struct Batch: Sendable {
  /// Whole lines.
  var bytes: [UInt8] = []
  /// How many lines.
  var records = 0
  /// What is lost if they cannot be written.
  var tally = Tally()
  /// The flows that were allowed among them.
  var allowed: [UInt64] = []
  /// The flows that ended among them.
  var ended: [UInt64] = []
  /// The records among them that are worth another try.
  var urgent: [Record] = []
  /// The last of them.
  var head = ChainHead.genesis
  /// Whether the last of them is a checkpoint.
  var endsInCheckpoint = false

  /// Counts a record that was sealed.
  mutating func count(_ record: Record) {
    tally.count(record)
    switch record {
    case .decision(let decision) where decision.verdict == .allow: allowed.append(decision.flow)
    case .close(let close): ended.append(close.flow)
    default: break
    }
  }

  /// What is lost with the batch: a flow whose allow was lost was never
  /// opened, so its end was not that of a connection.
  var loss: Tally {
    var loss = tally
    guard !allowed.isEmpty, !ended.isEmpty else { return loss }
    let unopened = Set(allowed)
    loss.closed &-= UInt64(ended.count { unopened.contains($0) })
    return loss
  }
}

/// Counts of records that were not written one by one.
struct Tally: Hashable, Sendable {
  var denied: UInt64 = 0
  var held: UInt64 = 0
  /// Allowed by the policy and refused all the same: the record of it was lost,
  /// so nothing went out.
  var refused: UInt64 = 0
  var closed: UInt64 = 0
  var bytesOut: UInt64 = 0
  var bytesIn: UInt64 = 0
  var other: UInt64 = 0

  var total: UInt64 { denied &+ held &+ refused &+ closed &+ other }

  mutating func count(_ record: Record) {
    switch record {
    case .decision(let decision):
      switch decision.verdict {
      case .deny: denied &+= 1
      case .ask: held &+= 1
      case .allow: refused &+= 1
      }
    case .rollUp(let rollUp) where rollUp.verdict == .deny: denied &+= rollUp.count
    case .rollUp(let rollUp): other &+= rollUp.count
    case .close(let close):
      // Refused for want of this log: no connection was opened.
      if close.reason != .cut(.auditUnavailable) { closed &+= 1 }
      bytesOut &+= close.bytesOut
      bytesIn &+= close.bytesIn
    case .policy, .lifecycle, .control: other &+= 1
    }
  }

  mutating func add(_ tally: Tally) {
    denied &+= tally.denied
    held &+= tally.held
    refused &+= tally.refused
    closed &+= tally.closed
    bytesOut &+= tally.bytesOut
    bytesIn &+= tally.bytesIn
    other &+= tally.other
  }
}

/// The chain's end and what hangs on it unwritten. Confined to the log's lock.
struct ChainState: Sendable {
  /// The most bytes that wait for a write; beyond, records are only counted.
  static let pendingLimit = 1 << 20
  /// The most records that are kept for another try.
  static let deferredLimit = 64

  private(set) var head: ChainHead
  private(set) var pending = Batch()
  /// How many records were appended, written or not.
  private(set) var appended: UInt64 = 0
  /// The last appended record that was lost.
  private(set) var lostThrough: UInt64 = 0
  /// Records since the last checkpoint, it excluded.
  private(set) var sinceCheckpoint = 0
  /// Whether the file cannot be written, so that what can be counted only is.
  private(set) var isCollapsing = false
  private(set) var collapsed = Tally()
  /// What the `collapsed` record on its way to the file tells of.
  private var reporting = Tally()
  private var deferred: [Record] = []

  init(head: ChainHead) {
    self.head = head
    pending.head = head
  }

  /// Seals a record and answers how many were appended so far.
  mutating func append(_ record: Record, fields: [UInt8]) -> UInt64 {
    appended += 1
    if isCollapsing, record.isCollapsible, !endsPendingFlow(record) {
      collapsed.count(record)
      return appended
    }
    guard pending.bytes.count + fields.count < Self.pendingLimit else {
      lose(record)
      return appended
    }
    seal(fields)
    pending.count(record)
    if record.isUrgent { pending.urgent.append(record) }
    return appended
  }

  /// Whether it ends a flow whose allow waits for the next write: the two are
  /// written together or lost together.
  private func endsPendingFlow(_ record: Record) -> Bool {
    guard case .close(let close) = record else { return false }
    return pending.allowed.contains(close.flow)
  }

  private mutating func lose(_ record: Record) {
    lostThrough = appended
    if record.isUrgent, deferred.count < Self.deferredLimit {
      deferred.append(record)
    } else {
      collapsed.count(record)
    }
    isCollapsing = true
  }

  /// Puts number and hashes around `fields`, and the line behind the others.
  private mutating func seal(_ fields: [UInt8]) {
    let start = openLine(fields)
    closeLine(from: start)
    sinceCheckpoint += 1
    pending.endsInCheckpoint = false
  }

  private mutating func openLine(_ fields: [UInt8]) -> Int {
    let start = pending.bytes.count
    pending.bytes.append(contentsOf: #"{"seq":"#.utf8)
    appendDecimal(head.sequence + 1, to: &pending.bytes)
    pending.bytes.append(contentsOf: #","prev":""#.utf8)
    head.hash.appendHex(to: &pending.bytes)
    pending.bytes.append(contentsOf: #"","#.utf8)
    pending.bytes.append(contentsOf: fields)
    return start
  }

  private mutating func closeLine(from start: Int) {
    let hash = pending.bytes.withUnsafeBytes {
      RecordHash(hashing: UnsafeRawBufferPointer(rebasing: $0[start...]))
    }
    pending.bytes.append(contentsOf: #","hash":""#.utf8)
    hash.appendHex(to: &pending.bytes)
    pending.bytes.append(contentsOf: "\"}\n".utf8)
    head = ChainHead(sequence: head.sequence + 1, hash: hash)
    pending.head = head
    pending.records += 1
  }

  /// Seals a signed checkpoint behind what is pending.
  mutating func appendCheckpoint(key: SigningKey, at time: Timestamp) {
    let before = pending.bytes.count
    let start = openLine(Checkpoint.fields(key: key.publicKey, time: time))
    guard let signature = try? key.signature(for: Checkpoint.message(line: pending.bytes[start...])) else {
      pending.bytes.removeSubrange(before...)
      return
    }
    pending.bytes.append(contentsOf: #","signature":""#.utf8)
    pending.bytes.append(contentsOf: hexText(signature).utf8)
    pending.bytes.append(UInt8(ascii: "\""))
    closeLine(from: start)
    sinceCheckpoint = 0
    pending.endsInCheckpoint = true
  }

  /// Hands out what is pending, and takes `spare` as the room for what follows.
  mutating func take(spare: inout Batch) -> Batch {
    spare.bytes.removeAll(keepingCapacity: true)
    spare.allowed.removeAll(keepingCapacity: true)
    spare.ended.removeAll(keepingCapacity: true)
    var taken = Batch(bytes: spare.bytes, allowed: spare.allowed, ended: spare.ended, head: head)
    spare = Batch()
    swap(&taken, &pending)
    return taken
  }

  /// Goes back to the last record in the file: `batch` and all behind it are lost.
  mutating func abandon(_ batch: Batch, committed: ChainHead) {
    collapsed.add(reporting)
    reporting = Tally()
    lose(batch)
    lose(pending)
    if batch.records + pending.records > 0 { lostThrough = appended }
    pending = Batch(head: committed)
    head = committed
    isCollapsing = true
  }

  private mutating func lose(_ batch: Batch) {
    let kept = batch.urgent.prefix(Self.deferredLimit - deferred.count)
    deferred.append(contentsOf: kept)
    var tally = batch.loss
    tally.other &-= UInt64(kept.count)
    collapsed.add(tally)
  }

  /// Seals, for the first write after a failure, the record of what was lost
  /// and the records kept for this moment.
  mutating func appendReport(at time: Timestamp, detail: String) {
    guard isCollapsing else { return }
    reporting.add(collapsed)
    collapsed = Tally()
    seal(
      Self.encode(
        .lifecycle(LifecycleRecord(time: time, event: .collapsed, detail: detail, counts: reporting.counts))))
    let again = deferred
    deferred = []
    for record in again {
      seal(Self.encode(record))
      pending.count(record)
      pending.urgent.append(record)
    }
  }

  /// The file is well again.
  mutating func finishReport() {
    reporting = Tally()
    isCollapsing = !deferred.isEmpty || collapsed.total > 0
  }

  private static func encode(_ record: Record) -> [UInt8] {
    var json = JSONWriter()
    record.encode(into: &json)
    return json.bytes
  }
}

extension Tally {
  fileprivate var counts: [(String, UInt64)] {
    [
      ("denied", denied), ("held", held), ("refused", refused), ("closed", closed), ("bytes_out", bytesOut),
      ("bytes_in", bytesIn), ("other", other),
    ]
  }
}

extension Record {
  /// Whether a count may stand for it while the log cannot be written.
  fileprivate var isCollapsible: Bool {
    switch self {
    case .decision(let decision): decision.verdict == .deny
    case .rollUp, .close: true
    case .policy, .lifecycle, .control: false
    }
  }
}
