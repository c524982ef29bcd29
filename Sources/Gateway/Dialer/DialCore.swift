import Addressing
import EventLoop
import SystemPackage

/// Why no connection came about.
public enum DialFailure: Error, Hashable, Sendable {
  /// An upstream answered with a reset (ECONNREFUSED).
  case refused
  /// Nothing answered in time (ETIMEDOUT, or the dial's own limit).
  case timedOut
  /// There is no way there (ENETUNREACH, EHOSTUNREACH and their kin), or no address.
  case unreachable
  /// Anything else: most often a limit or a filter of this host.
  case failed(Errno)

  /// Sorts what connect(2) says.
  public init(_ error: Errno) {
    switch error {
    case .connectionRefused: self = .refused
    case .timedOut: self = .timedOut
    case .networkUnreachable, .noRouteToHost, .networkDown, .hostIsDown, .addressNotAvailable:
      self = .unreachable
    default: self = .failed(error)
    }
  }

  /// What tells more about the destination comes first: that somebody refused,
  /// that nobody answered, that there is no way, then trouble of our own.
  fileprivate var rank: Int {
    switch self {
    case .refused: 0
    case .timedOut: 1
    case .unreachable: 2
    case .failed: 3
    }
  }
}

/// Which address is tried when, without sockets and clock.
///
/// - Source: RFC 8305 §4 (order), §5 and §8 (one attempt every 250 ms, the next
///   at once when one fails).
struct DialCore: Sendable {
  enum Event: Hashable, Sendable {
    case start
    case connected(Int)
    case failed(Int, DialFailure)
    /// The time of the alarm has come.
    case alarm
    /// The time of the whole dial is over.
    case deadline
  }

  enum Effect: Hashable, Sendable {
    /// Start to connect to the address in this place.
    case connect(Int)
    /// Close the attempt in this place.
    case close(Int)
    /// Ring in 250 ms, instead of any earlier appointment.
    case setAlarm
    case cancelAlarm
    /// It is over; the place is the winner's.
    case finish(Result<Int, DialFailure>)
  }

  /// RFC 8305 §8, Connection Attempt Delay.
  static let stagger: Duration = .milliseconds(250)
  /// Attempts at one time. Behind silent addresses one client must not hold a descriptor for each of 64.
  static let maximumOpen = 8

  private let count: Int
  private var next = 0
  private var open: [Int] = []
  private var hasAlarm = false
  private var isOver = false
  private var failure: DialFailure?

  /// - Parameter count: The number of addresses.
  init(count: Int) {
    self.count = count
  }

  /// Takes an event. Nothing happens any more once it is over.
  mutating func handle(_ event: Event) -> [Effect] {
    guard !isOver else { return [] }
    switch event {
    case .start:
      return tryNext()
    case .alarm:
      hasAlarm = false
      return tryNext()
    case .connected(let place):
      return finish(.success(place), closing: open.filter { $0 != place })
    case .failed(let place, let failure):
      open.removeAll { $0 == place }
      note(failure)
      return tryNext()
    case .deadline:
      note(.timedOut)
      return finish(.failure(failure ?? .timedOut), closing: open)
    }
  }

  private mutating func tryNext() -> [Effect] {
    guard next < count else {
      return open.isEmpty ? finish(.failure(failure ?? .unreachable), closing: []) : []
    }
    guard open.count < Self.maximumOpen else { return [] }
    let place = next
    next += 1
    open.append(place)
    if next < count {
      hasAlarm = true
      return [.setAlarm, .connect(place)]
    }
    return alarmCancelled() + [.connect(place)]
  }

  private mutating func note(_ new: DialFailure) {
    if failure.map({ new.rank < $0.rank }) ?? true { failure = new }
  }

  private mutating func finish(_ result: Result<Int, DialFailure>, closing: [Int]) -> [Effect] {
    isOver = true
    return closing.map { .close($0) } + alarmCancelled() + [.finish(result)]
  }

  private mutating func alarmCancelled() -> [Effect] {
    defer { hasAlarm = false }
    return hasAlarm ? [.cancelAlarm] : []
  }
}

/// The order in which addresses are tried: each once, IPv6 first, then the
/// families by turns, each in the order given (RFC 8305 §4).
func interleaved(_ addresses: [IPAddress]) -> [IPAddress] {
  guard addresses.count > 1 else { return addresses }
  var seen: Set<IPAddress> = []
  let distinct = addresses.filter { seen.insert($0).inserted }
  let first = distinct.filter { !$0.isV4 }, second = distinct.filter(\.isV4)
  var order: [IPAddress] = []
  for place in 0..<max(first.count, second.count) {
    if place < first.count { order.append(first[place]) }
    if place < second.count { order.append(second[place]) }
  }
  return order
}
