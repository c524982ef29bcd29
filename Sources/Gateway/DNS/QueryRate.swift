import EventLoop

/// How many questions each agent may ask: one bucket for each, which holds
/// enough for two seconds and fills evenly.
///
/// Above the rate a question over UDP is answered with TC=1, so that an honest
/// client goes on over TCP, where it is made to wait; those answers have a
/// bucket of the same size, so above twice the rate nothing is answered.
/// Agents are small numbers, and once one was met, nothing is allocated.
struct QueryRate: Sendable {
  /// What becomes of a question over UDP.
  enum Verdict: Hashable, Sendable {
    /// It is answered.
    case pass
    /// It is answered with TC=1 and nothing else.
    case truncate
    /// It is dropped.
    case drop
  }

  /// How many seconds' worth may come at once.
  static let burst: UInt64 = 2
  /// The most questions a second that count; above that there is no rate.
  static let limit = 1_000_000

  /// A bucket as the moment at which it will be full, in nanoseconds: each
  /// question puts that off by one interval (the virtual scheduling form of
  /// the generic cell rate algorithm, ITU-T I.371 annex A). One that was never
  /// used has been full forever.
  private struct Bucket: Sendable {
    var full: UInt64 = 0

    func hasToken(at now: UInt64, _ interval: UInt64, _ span: UInt64) -> Bool {
      full <= now || full - now <= span - interval
    }

    mutating func take(at now: UInt64, _ interval: UInt64) {
      full = max(full, now) + interval
    }
  }

  private struct Account: Sendable {
    var answers = Bucket()
    var truncations = Bucket()
  }

  /// In nanoseconds: between two questions at the rate. 0: any number may come.
  private let interval: UInt64
  /// In nanoseconds: how long an empty bucket takes to fill.
  private let span: UInt64
  private var accounts: [Account] = []

  /// - Parameter perSecond: Questions a second of one agent; 0 or less: any number.
  init(perSecond: Int) {
    let isLimited = perSecond > 0 && perSecond <= Self.limit
    interval = isLimited ? 1_000_000_000 / UInt64(perSecond) : 0
    // Whole intervals, so that exactly so many questions fit.
    span = isLimited ? interval * Self.burst * UInt64(perSecond) : 0
  }

  /// Judges a question over UDP that has come at `now`.
  mutating func take(_ agent: UInt16, at now: MonotonicTime) -> Verdict {
    guard interval > 0 else { return .pass }
    let index = place(of: agent), time = moment(now)
    if accounts[index].answers.hasToken(at: time, interval, span) {
      accounts[index].answers.take(at: time, interval)
      return .pass
    }
    guard accounts[index].truncations.hasToken(at: time, interval, span) else { return .drop }
    accounts[index].truncations.take(at: time, interval)
    return .truncate
  }

  /// Takes a token for a question over TCP, or says how long it has to wait.
  ///
  /// - Returns: nil when the question may be answered now; else nothing was
  ///   taken, and there will be a token after this long.
  mutating func wait(_ agent: UInt16, at now: MonotonicTime) -> Duration? {
    guard interval > 0 else { return nil }
    let index = place(of: agent), time = moment(now)
    let bucket = accounts[index].answers
    guard !bucket.hasToken(at: time, interval, span) else {
      accounts[index].answers.take(at: time, interval)
      return nil
    }
    return .nanoseconds(Int64(clamping: bucket.full - time - (span - interval)))
  }

  /// Held where a full bucket's moment still fits behind it.
  private func moment(_ now: MonotonicTime) -> UInt64 { min(now.nanoseconds, .max - span) }

  private mutating func place(of agent: UInt16) -> Int {
    let index = Int(agent)
    while accounts.count <= index { accounts.append(Account()) }
    return index
  }
}
