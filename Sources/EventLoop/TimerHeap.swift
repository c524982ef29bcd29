/// Names one timer of one loop; a name is not used twice.
public struct TimerID: Hashable, Sendable {
  let slot: UInt32
  let generation: UInt32
}

/// Timers in order of time: a binary heap of slots, each of which knows its
/// place in the heap, so that a cancelled timer leaves at once.
struct TimerHeap {
  private struct Entry {
    var due = MonotonicTime(nanoseconds: 0)
    var work: (() -> Void)?
    var place = 0
    var generation: UInt32 = 0
  }

  private var entries: [Entry] = []
  private var free: [UInt32] = []
  private var heap: [UInt32] = []

  /// When the first timer is due.
  var earliest: MonotonicTime? { heap.first.map { entries[Int($0)].due } }
  var count: Int { heap.count }

  func contains(_ id: TimerID) -> Bool {
    let slot = Int(id.slot)
    return slot < entries.count && entries[slot].generation == id.generation && entries[slot].work != nil
  }

  mutating func insert(_ due: MonotonicTime, _ work: @escaping () -> Void) -> TimerID {
    let slot = free.popLast() ?? UInt32(entries.count)
    if Int(slot) == entries.count { entries.append(Entry()) }
    entries[Int(slot)].due = due
    entries[Int(slot)].work = work
    entries[Int(slot)].place = heap.count
    heap.append(slot)
    moveUp(heap.count - 1)
    return TimerID(slot: slot, generation: entries[Int(slot)].generation)
  }

  /// Takes a timer out; one that ran or was cancelled before is no error.
  mutating func remove(_ id: TimerID) {
    if contains(id) { _ = take(at: entries[Int(id.slot)].place) }
  }

  /// Takes the first timer if it is due at `now`.
  mutating func popDue(at now: MonotonicTime) -> (() -> Void)? {
    guard let earliest, earliest <= now else { return nil }
    return take(at: 0)
  }

  private mutating func take(at place: Int) -> (() -> Void)? {
    let slot = heap[place]
    let last = heap.removeLast()
    if place < heap.count {
      put(last, at: place)
      moveUp(place)
      moveDown(entries[Int(last)].place)
    }
    let work = entries[Int(slot)].work
    entries[Int(slot)].work = nil
    entries[Int(slot)].generation &+= 1
    free.append(slot)
    return work
  }

  private mutating func put(_ slot: UInt32, at place: Int) {
    heap[place] = slot
    entries[Int(slot)].place = place
  }

  private func isBefore(_ left: UInt32, _ right: UInt32) -> Bool {
    entries[Int(left)].due < entries[Int(right)].due
  }

  private mutating func moveUp(_ start: Int) {
    var place = start
    let slot = heap[place]
    while place > 0, isBefore(slot, heap[(place - 1) / 2]) {
      put(heap[(place - 1) / 2], at: place)
      place = (place - 1) / 2
    }
    put(slot, at: place)
  }

  private mutating func moveDown(_ start: Int) {
    var place = start
    let slot = heap[place]
    while true {
      var child = 2 * place + 1
      guard child < heap.count else { break }
      if child + 1 < heap.count, isBefore(heap[child + 1], heap[child]) { child += 1 }
      guard isBefore(heap[child], slot) else { break }
      put(heap[child], at: place)
      place = child
    }
    put(slot, at: place)
  }
}
