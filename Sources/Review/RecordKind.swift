import Addressing
import Audit
import Policy

/// What makes records alike for whoever reads a log: everything that reviews tell apart but the time.
///
/// A log of a million records has few kinds, so what a review costs beyond reading is paid once for each.
public struct RecordKind: Hashable, Sendable {
  /// Of which sort the records are.
  public enum Event: String, Hashable, Sendable {
    /// A decision, or a roll-up of decisions.
    case decision
    /// The end of a connection.
    case close
    /// Anything else.
    case other
  }

  /// Of which sort they are.
  public var event: Event
  /// Who asked.
  public var agent: String?
  /// Which part of the gate decided.
  public var layer: Layer?
  /// What happened.
  public var verdict: Action?
  /// Whether enforce mode would have denied what passed.
  public var wouldDeny = false
  /// Why, as in the log; of packets that were only counted, what held them back.
  public var reason: String?
  /// The rule behind it.
  public var rule: String?
  /// Where to; nil when the records name no place that can be read.
  public var destination: Destination?
  /// The address that was dialled, where it may be another than a public one: what of a name the floor judges.
  public var address: IPAddress?
  /// For DNS, the type that was asked for.
  public var recordType: String?
  /// For HTTP, the method.
  public var method: String?
  /// Which program asked, where the gate could know.
  public var process: String?
  /// Whether the gate itself had counted several places together, too many to be told apart.
  public var isOverflow = false
  /// Which places they stand for, where those are too many to be told apart; what an agent chooses is then missing.
  public var fold: Fold?

  /// Makes a kind.
  public init(event: Event) { self.event = event }

  /// Whether the records tell of something denied, or that enforce mode would deny.
  public var isBlocked: Bool { event == .decision && (verdict == .deny || wouldDeny) }
}

extension RecordKind {
  /// The kind of a record that was read in full.
  public init(_ record: LogRecord) {
    switch record.event {
    case "decision", "rollup": self.init(event: .decision)
    case "close": self.init(event: .close)
    default: self.init(event: .other)
    }
    agent = record.agent
    reason = record.reason
    guard event != .other else { return }
    layer = record.layer
    verdict = record.verdict
    wouldDeny = record.wouldDeny
    rule = record.rule
    destination = record.destination
    address = record.address.flatMap { NotableAddress.isNotable($0.utf8) ? IPAddress($0) : nil }
    recordType = record.recordType
    method = record.ownText("method")
    process = record.process
    isOverflow = record.isOverflow
  }
}

/// Which of the addresses that were dialled a kind keeps. To keep all of a busy host's would make as many kinds
/// as its network has machines.
enum NotableAddress {
  /// The first octets of IPv4 blocks that are not public as a whole (RFC 6890); from 224 on none is.
  private static func isNotable(octet: Int) -> Bool {
    switch octet {
    case 0, 10, 100, 127, 169, 172, 192, 198, 203, 224...: true
    default: false
    }
  }

  /// Whether an address may be other than public, by its text: rather too often yes than once no.
  static func isNotable(_ text: some Collection<UInt8>) -> Bool {
    let head = text.prefix(6)
    if let dot = head.firstIndex(of: UInt8(ascii: ".")) {
      return isNotable(octet: head[..<dot].reduce(0) { $0 * 10 + Int($1 &- UInt8(ascii: "0")) })
    }
    // 2001::/16 and 2002::/16 hold IPv4 addresses and documentation; global unicast begins with 2 or 3.
    guard let first = head.first, first == UInt8(ascii: "2") || first == UInt8(ascii: "3") else {
      return true
    }
    return head.starts(with: "2001:".utf8) || head.starts(with: "2002:".utf8)
  }
}
