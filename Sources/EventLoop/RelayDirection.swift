import SystemPackage

/// How far one direction of a relay got.
enum PumpResult: Hashable {
  /// The source has nothing, or the sink takes nothing: an event is owed.
  case waits
  /// The share of this turn is used up.
  case hasMore
  /// The source's end was passed on.
  case ended
  /// The source sent more than the budget has left; what was left has been delivered.
  case overBudget
  case sourceFailed(Errno)
  case sinkFailed(Errno)
}

/// One direction of a relay: source to sink. 32 bytes while nothing is stuck.
struct RelayDirection {
  /// In bytes, for each direction, relay and turn.
  private static let turnShare = 1 << 20
  /// A read of at least so many bytes speaks for bulk (a quarter of the buffer) …
  private static let bulkRead = EventLoop.scratchSize / 4
  /// … and so many in a row make it one.
  private static let bulkStreak: UInt8 = 4

  /// Bytes that were read and that the sink has not taken.
  private enum Held {
    case nothing
    case buffer(HeldBytes)
    case pipe(Pipe)
  }

  /// Taken by the sink.
  private(set) var bytes: UInt64 = 0
  private let budget: ByteBudget?
  private var held = Held.nothing
  private var streak: UInt8 = 0
  private var sourceEnded = false
  private(set) var endPassed = false
  private var isOverBudget = false
  private var wasBlocked = false

  init(budget: ByteBudget?) {
    self.budget = budget
  }

  /// Keeps bytes that were read before the relay began.
  mutating func hold(early: [UInt8]) {
    guard !early.isEmpty else { return }
    early.withUnsafeBytes { all in
      let granted = spend(all.count)
      if granted > 0 { held = .buffer(HeldBytes(all.prefix(granted))) }
    }
  }

  /// Moves bytes until the source is empty, the sink full, or this turn's share used up.
  ///
  /// - Parameter isLast: Whether the other direction has ended: the sink is then
  ///   about to be closed, which sends the end without a call of its own.
  mutating func pump(
    from source: Channel, to sink: Channel, on loop: EventLoop, isLast: Bool
  ) -> PumpResult {
    var share = Self.turnShare
    while true {
      if let stopped = deliverHeld(to: sink, loop.pipes) { return stop(stopped, source) }
      if isOverBudget { return .overBudget }
      if sourceEnded { return passEnd(to: sink, isLast) }
      if share <= 0 { return .hasMore }
      // Nothing is read that would only wait here; the sink's event goes on.
      if sink.isWriteBlocked { return stop(.waits, source) }
      wasBlocked = false
      source.unmute()
      if let stopped = move(from: source, to: sink, on: loop, &share) { return stopped }
    }
  }

  /// Stops because of the sink. The second time in a row, the source's arrivals are no news any more.
  private mutating func stop(_ result: PumpResult, _ source: Channel) -> PumpResult {
    if wasBlocked { source.mute() }
    wasBlocked = true
    return result
  }

  private mutating func passEnd(to sink: Channel, _ isLast: Bool) -> PumpResult {
    if !endPassed {
      endPassed = true
      if !isLast { sink.shutdownWrite() }
    }
    return .ended
  }

  /// One read and one write. Nil: go on.
  private mutating func move(
    from source: Channel, to sink: Channel, on loop: EventLoop, _ share: inout Int
  ) -> PumpResult? {
    let result: ReadResult
    if streak >= Self.bulkStreak, let pipe = loop.pipes.take() {
      result = source.splice(into: pipe, count: Pipe.capacity)
      hold(pipe, after: result, loop.pipes)
    } else {
      result = copy(from: source, to: sink, loop.scratch)
    }
    switch result {
    case .bytes(let count):
      share -= count
      return nil
    case .wouldBlock: return .waits
    case .failed(let error): return .sourceFailed(error)
    case .end:
      sourceEnded = true
      return nil
    }
  }

  /// Keeps a pipe that bytes were moved into, as far as the budget allows.
  private mutating func hold(_ pipe: Pipe, after result: ReadResult, _ pool: PipePool) {
    guard case .bytes(let count) = result else {
      pool.give(pipe)
      return
    }
    if count < Self.bulkRead { streak -= 1 }
    pipe.count = count
    let granted = spend(count)
    pipe.excess = count - granted
    held = .pipe(pipe)
  }

  private mutating func copy(
    from source: Channel, to sink: Channel, _ scratch: UnsafeMutableRawBufferPointer
  ) -> ReadResult {
    let result = source.read(into: scratch)
    guard case .bytes(let count) = result else { return result }
    streak = count >= Self.bulkRead ? min(streak + 1, Self.bulkStreak) : 0
    let granted = UnsafeRawBufferPointer(rebasing: scratch.prefix(spend(count)))
    guard !granted.isEmpty else { return result }
    switch sink.write(granted) {
    case .bytes(let taken):
      bytes &+= UInt64(taken)
      if taken < granted.count { held = .buffer(HeldBytes(granted.dropFirst(taken))) }
    case .wouldBlock, .failed:
      // A failure shows again when the held bytes are delivered.
      held = .buffer(HeldBytes(granted[...]))
    }
    return result
  }

  /// Spends from the budget; less than `count` means that it ends here.
  private mutating func spend(_ count: Int) -> Int {
    guard let budget else { return count }
    let granted = budget.take(upTo: count)
    if granted < count { isOverBudget = true }
    return granted
  }

  /// Writes what is held. Nil: nothing is held any more.
  private mutating func deliverHeld(to sink: Channel, _ pool: PipePool) -> PumpResult? {
    while true {
      let result: WriteResult
      switch held {
      case .nothing: return nil
      case .buffer(let buffer): result = sink.write(buffer.rest)
      case .pipe(let pipe) where pipe.count == pipe.excess:
        release(to: pool)
        return nil
      case .pipe(let pipe): result = sink.splice(from: pipe, count: pipe.count - pipe.excess)
      }
      switch result {
      case .bytes(let count): noteDelivered(count, pool)
      case .wouldBlock: return .waits
      case .failed(let error): return .sinkFailed(error)
      }
    }
  }

  private mutating func noteDelivered(_ count: Int, _ pool: PipePool) {
    bytes &+= UInt64(count)
    switch held {
    case .nothing: break
    case .buffer(let buffer):
      buffer.start += count
      if buffer.rest.isEmpty { held = .nothing }
    case .pipe(let pipe):
      pipe.count -= count
      if pipe.count == 0 { release(to: pool) }
    }
  }

  /// Lets go of what is held.
  mutating func release(to pool: PipePool) {
    if case .pipe(let pipe) = held { pool.give(pipe) }
    held = .nothing
  }
}

/// A copy of bytes that wait for a sink, made only while they are stuck.
final class HeldBytes {
  private let storage: UnsafeMutableRawBufferPointer
  /// The first byte that was not delivered.
  var start = 0

  init(_ bytes: Slice<UnsafeRawBufferPointer>) {
    storage = .allocate(byteCount: bytes.count, alignment: 1)
    storage.copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes))
  }

  deinit {
    storage.deallocate()
  }

  var rest: UnsafeRawBufferPointer { UnsafeRawBufferPointer(rebasing: storage[start...]) }
}
