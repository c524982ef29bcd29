import Addressing
import Firewall

/// What the gate may ask of its keeper. There is no message that removes the
/// table, lowers its floor, or names anything in the kernel but what is listed here.
enum KeeperRequest: Hashable {
  /// Make the tables, and own them.
  case install(FenceRules)
  /// Put other rules in force; end the flows of these marks.
  case refill(FenceRules, revoked: Set<UInt32>)
  /// Let these pass, then answer.
  case open([FenceOpening])
  /// Say how the table is doing.
  case report
  /// Say how many packets were held back.
  case count
}

/// What the keeper says.
enum KeeperReply: Hashable {
  case done
  case refused(String)
  case state(FenceState)
  /// By itself, with the number 0: a device came, and whether frames beside the IP stack are stopped on it.
  case device(String, isGuarded: Bool)
  /// Packets since the tables were made first.
  case counted([Heldback: UInt64])
  /// By itself, with the number 0: somebody else changed the tables; what was learned may be gone.
  case changed(String)
  /// By itself, with the number 0: what became of the canary has changed.
  case canary(CanaryState)
  /// By itself, with the number 0: the link of this kernel's number is nobody's any more, and why.
  case lost(UInt32, LinkLoss)
}

/// A request or reply with the number that joins them.
struct Numbered<Content: Hashable>: Hashable {
  var number: UInt32
  var content: Content
}

/// A message that is none of these: its sender is not what it should be.
struct MalformedMessage: Error {}

// MARK: - Requests

extension Numbered where Content == KeeperRequest {
  var bytes: [UInt8] {
    var out = MessageWriter(number: number)
    switch content {
    case .install(let rules):
      out.put(1 as UInt8)
      out.put(rules)
    case .refill(let rules, let revoked):
      out.put(2 as UInt8)
      out.put(rules)
      out.put(revoked)
    case .open(let openings):
      out.put(3 as UInt8)
      out.put(UInt32(openings.count))
      openings.forEach { out.put($0) }
    case .report: out.put(4 as UInt8)
    case .count: out.put(5 as UInt8)
    }
    return out.bytes
  }

  init(_ bytes: [UInt8]) throws(MalformedMessage) {
    var reader = MessageReader(bytes)
    number = try reader.number()
    switch try reader.number() as UInt8 {
    case 1: content = .install(try reader.rules())
    case 2: content = .refill(try reader.rules(), revoked: try reader.marks())
    case 3: content = .open(try reader.list { r throws(MalformedMessage) in try r.opening() })
    case 4: content = .report
    case 5: content = .count
    default: throw MalformedMessage()
    }
    try reader.end()
  }
}

// MARK: - Replies

extension Numbered where Content == KeeperReply {
  var bytes: [UInt8] {
    var out = MessageWriter(number: number)
    switch content {
    case .done: out.put(1 as UInt8)
    case .refused(let cause):
      out.put(2 as UInt8)
      out.put(cause)
    case .state(let state):
      out.put(3 as UInt8)
      out.put(state.isInForce ? 1 : 0 as UInt8)
      out.put(state.isOwned ? 1 : 0 as UInt8)
      out.put(state.denied)
      out.put(state.frames)
      out.put(state.learned)
      out.put(state.audited == nil ? 0 : 1 as UInt8)
      out.put(state.audited ?? 0)
      out.put(state.canary.rawValue)
      out.put(state.unguarded)
    case .changed(let what):
      out.put(4 as UInt8)
      out.put(what)
    case .canary(let state):
      out.put(5 as UInt8)
      out.put(state.rawValue)
    case .lost(let index, let loss):
      out.put(6 as UInt8)
      out.put(index)
      out.put(loss.rawValue)
    case .counted(let counts):
      out.put(7 as UInt8)
      out.put(counts)
    case .device(let name, let isGuarded):
      out.put(8 as UInt8)
      out.put(name)
      out.put(isGuarded ? 1 : 0 as UInt8)
    }
    return out.bytes
  }

  init(_ bytes: [UInt8]) throws(MalformedMessage) {
    var reader = MessageReader(bytes)
    number = try reader.number()
    switch try reader.number() as UInt8 {
    case 1: content = .done
    case 2: content = .refused(try reader.text())
    case 3:
      let inForce: UInt8 = try reader.number(), owned: UInt8 = try reader.number()
      var state = FenceState(
        isOwned: owned == 1, denied: try reader.number(), frames: try reader.number(),
        learned: try reader.number())
      state.isInForce = inForce == 1
      let isAudit: UInt8 = try reader.number(), audited: UInt64 = try reader.number()
      if isAudit == 1 { state.audited = audited }
      state.canary = try reader.canary()
      state.unguarded = try reader.list { reader throws(MalformedMessage) in try reader.text() }
      content = .state(state)
    case 4: content = .changed(try reader.text())
    case 5: content = .canary(try reader.canary())
    case 6: content = .lost(try reader.number(), try reader.loss())
    case 7: content = .counted(try reader.counts())
    case 8: content = .device(try reader.text(), isGuarded: try reader.number() as UInt8 == 1)
    default: throw MalformedMessage()
    }
    try reader.end()
  }
}
