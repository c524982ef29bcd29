import Audit
import Firewall
import Policy

/// Compares what the kernel counted with what was heard of, so that every
/// packet that was held back stands in the log: in a record, or in a number.
///
/// A sample takes a moment from the kernel to the gate. So a count is compared
/// with what was heard by the time of the next one: what it counted and nobody
/// heard of by then was lost. Pure.
struct PacketLosses {
  private var heard: [Heldback: UInt64] = [:]
  private var told: [Heldback: UInt64] = [:]
  private var previous: [Heldback: UInt64] = [:]
  private var missed: [Heldback: UInt64] = [:]

  /// Takes note of a packet that is recorded.
  mutating func hear(_ kind: Heldback) { heard[kind, default: 0] += 1 }

  /// Takes note of a packet that is not recorded, since the last count has it.
  mutating func miss(_ kind: Heldback) { missed[kind, default: 0] += 1 }

  /// Takes note of a count.
  ///
  /// - Parameter counts: Packets since the table was made.
  /// - Returns: What was lost and not told of yet, in the order of the names.
  mutating func count(_ counts: [Heldback: UInt64]) -> [(Heldback, UInt64)] {
    defer { previous = counts }
    return previous.sorted { $0.key.name < $1.key.name }.compactMap { kind, counted in
      let known = heard[kind, default: 0] + told[kind, default: 0]
      guard counted > known else { return nil }
      told[kind, default: 0] += counted - known
      return (kind, counted - known)
    }
  }

  /// Takes note of the last count, which has every packet that was heard of: all that it counted and nobody heard of
  /// is lost.
  ///
  /// - Parameter counts: Nil where nobody answered; what was counted before is told all the same, and what was missed.
  mutating func countLast(_ counts: [Heldback: UInt64]?) -> [(Heldback, UInt64)] {
    guard let counts else {
      for (kind, number) in missed {
        let known = heard[kind, default: 0] + told[kind, default: 0]
        previous[kind] = max(previous[kind, default: 0], known + number)
      }
      return count(previous)
    }
    previous = counts
    return count(counts)
  }
}

extension LifecycleRecord {
  /// Packets of which nothing but their number is in the log.
  ///
  /// - Parameter agent: Whose they were, where that is known.
  static func losses(_ count: UInt64, _ kind: Heldback, of agent: AgentName? = nil) -> LifecycleRecord {
    LifecycleRecord(
      time: .now(), event: .notice, detail: "packets that the kernel's table counted and nobody recorded",
      agent: agent, reason: kind.cause.word, counts: [("events_lost", count)])
  }
}

extension Heldback {
  /// Whether an agent has sent it, whichever.
  var isAgents: Bool { cause != .stranger && cause != .unforwarded }
}

extension Heldback.Cause {
  /// Why the kernel held it back, where that is no matter of rules.
  var reason: Reason? {
    switch self {
    case .denied, .audited, .frame: nil
    case .odd: .oddPacket
    case .spoofed: .spoofedSource
    case .unforwarded: .notForwarded
    case .stranger: .strangeLink
    }
  }

  /// The word in the log.
  var word: String { reason?.rawValue ?? (self == .frame ? "frame" : rawValue) }
}
