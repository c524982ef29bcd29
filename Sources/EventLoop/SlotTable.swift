/// The open channels of one loop, by slot, and when each is due.
///
/// The kernel keeps `generation << 32 | slot << 1` for a channel. The
/// generation moves on when the slot is given back, so an event that was
/// fetched before the close finds nobody.
struct SlotTable {
  /// 16 bytes a channel. While free, `dueTick` links to the next free slot.
  private struct Slot {
    var channel: Channel?
    var dueTick: UInt32
    var generation: UInt32
  }

  private var slots: ContiguousArray<Slot> = []
  private var firstFree = UInt32.max
  private(set) var count = 0

  /// Puts a channel into a slot and tells it which.
  mutating func insert(_ channel: Channel) {
    count += 1
    if firstFree == .max {
      channel.slot = UInt32(slots.count)
      channel.generation = 0
      slots.append(Slot(channel: channel, dueTick: 0, generation: 0))
      return
    }
    let index = firstFree
    firstFree = slots[Int(index)].dueTick
    slots[Int(index)].channel = channel
    slots[Int(index)].dueTick = 0
    channel.slot = index
    channel.generation = slots[Int(index)].generation
  }

  /// Takes a channel out; events under its key are stale from now on.
  mutating func remove(_ channel: Channel) {
    let index = Int(channel.slot)
    slots[index].channel = nil
    slots[index].generation &+= 1
    slots[index].dueTick = firstFree
    firstFree = channel.slot
    count -= 1
  }

  /// The channel under `key`, or nil when it has gone.
  func channel(for key: UInt64) -> Channel? {
    let index = Int((key & 0xffff_ffff) >> 1)
    guard index < slots.count, slots[index].generation == UInt32(key >> 32) else { return nil }
    return slots[index].channel
  }

  /// When a channel is due, in ticks; 0 for never.
  func dueTick(of channel: Channel) -> UInt32 { slots[Int(channel.slot)].dueTick }

  /// Sets when a channel is due.
  mutating func setDueTick(_ tick: UInt32, of channel: Channel) {
    slots[Int(channel.slot)].dueTick = tick
  }

  /// Takes the next channel at or behind `index` that is due at `tick`, and clears its deadline.
  ///
  /// - Parameters:
  ///   - index: Moved behind the channel found, or to the end.
  ///   - next: Lowered to the earliest deadline passed over.
  mutating func takeDue(at tick: UInt32, from index: inout Int, next: inout UInt32) -> Channel? {
    while index < slots.count {
      defer { index += 1 }
      guard let channel = slots[index].channel, slots[index].dueTick != 0 else { continue }
      if slots[index].dueTick <= tick {
        slots[index].dueTick = 0
        return channel
      }
      next = min(next, slots[index].dueTick)
    }
    return nil
  }

  /// Some open channel, or nil when there is none.
  var anyChannel: Channel? { slots.lazy.compactMap(\.channel).first }
}
