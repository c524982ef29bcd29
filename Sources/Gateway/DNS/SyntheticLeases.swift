import Addressing
import EventLoop
import Policy

/// Which name has which place in a pool of addresses, and since when. Pure.
///
/// A place is free, mapped to a name, held by a connection, or rests. Mapped and
/// resting places stand in the order in which they end, so that a call looks at
/// few of them. Room is needed only for places that are not free.
struct SyntheticLeases: Sendable {
  /// How much of what is left one agent may have: thrice that much, so alone
  /// three quarters of all, and however many are greedy, some stays free.
  static let share = 3
  /// How many places one call moves on, unless it needs one.
  static let stride = 64

  private struct Slot {
    var name: Hostname
    var agent: AgentName
    var place: UInt32
    /// When the mapping ends or ended, in nanoseconds; without meaning while it is held.
    var end: UInt64
    var holds = 0
    var isResting = false
  }

  private let size: Int
  /// In nanoseconds: from the last lease to the end.
  private let lifetime: Duration
  private let rest: Duration
  private var draw: RandomDraw
  private var slots: [Slot] = []
  private var vacant: [Int] = []
  private var mapped = SlotOrder(), resting = SlotOrder()
  private var slotOfName: [Hostname: Int] = [:]
  private var slotOfPlace: [UInt32: Int] = [:]
  private var charges: [AgentName: Int] = [:]
  private var exhausted: UInt64 = 0
  /// The latest moment that any loop told of.
  private var latest = MonotonicTime(nanoseconds: 0)

  /// - Parameter size: Places are 1 to this number.
  init(size: Int, lifetime: Duration, rest: Duration, random: @escaping @Sendable () -> UInt64) {
    self.size = size
    self.lifetime = lifetime
    self.rest = rest
    draw = RandomDraw(count: size, random: random)
  }

  /// How many places are not free.
  private var taken: Int { size - draw.count }

  mutating func lease(_ name: Hostname, agent: AgentName, at now: MonotonicTime) -> UInt32? {
    advance(to: now, atMost: Self.stride)
    if let slot = slotOfName[name] {
      renew(slot)
      return slots[slot].place
    }
    if !hasRoom(for: agent) { advance(to: now, atMost: .max) }
    guard hasRoom(for: agent), let place = draw.take() else {
      exhausted &+= 1
      return nil
    }
    let slot = Slot(name: name, agent: agent, place: place + 1, end: end)
    renew(add(slot))
    return slot.place
  }

  mutating func name(at place: UInt32, _ now: MonotonicTime) -> Hostname? {
    slot(at: place, now).map { slots[$0].name }
  }

  mutating func hold(_ place: UInt32, at now: MonotonicTime) -> Hostname? {
    guard let slot = slot(at: place, now) else { return nil }
    if slots[slot].holds == 0 { mapped.remove(slot) }
    slots[slot].holds += 1
    return slots[slot].name
  }

  mutating func release(_ place: UInt32, at now: MonotonicTime) {
    advance(to: now, atMost: Self.stride)
    guard let slot = slotOfPlace[place], slots[slot].holds > 0 else { return }
    slots[slot].holds -= 1
    guard slots[slot].holds == 0 else { return }
    slots[slot].end = end
    mapped.append(slot)
  }

  mutating func status(at now: MonotonicTime) -> SyntheticPool.Status {
    advance(to: now, atMost: .max)
    return SyntheticPool.Status(
      size: size, mapped: taken - resting.count, resting: resting.count, exhausted: exhausted)
  }

  /// The slot that is mapped to a place now.
  private mutating func slot(at place: UInt32, _ now: MonotonicTime) -> Int? {
    advance(to: now, atMost: Self.stride)
    guard let slot = slotOfPlace[place], !slots[slot].isResting,
      slots[slot].holds > 0 || slots[slot].end > latest.nanoseconds
    else { return nil }
    return slot
  }

  /// When a mapping ends that begins or is renewed now.
  private var end: UInt64 { (latest + lifetime).nanoseconds }

  private func hasRoom(for agent: AgentName) -> Bool {
    charges[agent, default: 0] < Self.share * draw.count
  }

  private mutating func add(_ slot: Slot) -> Int {
    let number = vacant.popLast() ?? slots.count
    if number == slots.count { slots.append(slot) } else { slots[number] = slot }
    slotOfName[slot.name] = number
    slotOfPlace[slot.place] = number
    charges[slot.agent, default: 0] += 1
    return number
  }

  /// Puts a slot at the end of the mapped ones; one that a connection holds has no end.
  private mutating func renew(_ slot: Int) {
    guard slots[slot].holds == 0 else { return }
    if slots[slot].isResting { resting.remove(slot) } else { mapped.remove(slot) }
    slots[slot].isResting = false
    slots[slot].end = end
    mapped.append(slot)
  }

  /// Has mappings end and rested places go free. Loops tell the time one after
  /// the other, so it may seem to go back.
  private mutating func advance(to now: MonotonicTime, atMost limit: Int) {
    latest = max(latest, now)
    var left = limit
    while left > 0, let slot = mapped.first, slots[slot].end <= latest.nanoseconds {
      mapped.remove(slot)
      slots[slot].isResting = true
      resting.append(slot)
      left -= 1
    }
    while left > 0, let slot = resting.first, hasRested(slot) {
      resting.remove(slot)
      free(slot)
      left -= 1
    }
  }

  private func hasRested(_ slot: Int) -> Bool {
    MonotonicTime(nanoseconds: slots[slot].end) + rest <= latest
  }

  private mutating func free(_ slot: Int) {
    let old = slots[slot]
    slotOfName[old.name] = nil
    slotOfPlace[old.place] = nil
    let charge = charges[old.agent, default: 1] - 1
    charges[old.agent] = charge > 0 ? charge : nil
    draw.give(old.place - 1)
    vacant.append(slot)
  }
}

/// Numbers from 0 up, drawn in random order, with room for those that are out.
///
/// - Source: Fisher and Yates' shuffle (Knuth, TAOCP 3.4.2, algorithm P), where
///   only the numbers stand written that are not in their own place.
struct RandomDraw: Sendable {
  /// How many are left.
  private(set) var count: Int
  private var moved: [UInt32: UInt32] = [:]
  private let random: @Sendable () -> UInt64

  init(count: Int, random: @escaping @Sendable () -> UInt64) {
    self.count = count
    self.random = random
  }

  /// Takes one of those left, each as likely as any other; nil when there is none.
  mutating func take() -> UInt32? {
    guard count > 0 else { return nil }
    let place = UInt32(random().multipliedFullWidth(by: UInt64(count)).high)
    count -= 1
    let number = moved[place] ?? place
    // The last one moves to where the drawn one was; what is out stands nowhere.
    let last = moved.removeValue(forKey: UInt32(count)) ?? UInt32(count)
    if place != UInt32(count) { moved[place] = last }
    return number
  }

  /// Puts back one that was taken.
  mutating func give(_ number: UInt32) {
    moved[UInt32(count)] = number
    count += 1
  }
}

/// Slots in the order in which they were appended; each stands in it once at most.
struct SlotOrder: Sendable {
  private struct Link {
    var previous: Int
    var next: Int
  }

  private var links: [Int: Link] = [:]
  private(set) var first: Int?
  private var last: Int?

  var count: Int { links.count }

  mutating func append(_ slot: Int) {
    guard links[slot] == nil else { return }
    links[slot] = Link(previous: last ?? slot, next: slot)
    if let last { links[last]?.next = slot } else { first = slot }
    last = slot
  }

  /// Takes a slot out; nothing happens where it does not stand.
  mutating func remove(_ slot: Int) {
    guard let link = links.removeValue(forKey: slot) else { return }
    // At an end a link leads to its own slot.
    let previous = link.previous == slot ? nil : link.previous
    let next = link.next == slot ? nil : link.next
    if let previous { links[previous]?.next = next ?? previous } else { first = next }
    if let next { links[next]?.previous = previous ?? next } else { last = previous }
  }
}
