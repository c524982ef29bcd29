import Control

/// What a webhook is to be told, in which order and when: without I/O, with time as an argument.
///
/// One message is under way at a time. A message that fails holds back those behind it for a pause that doubles; a
/// receiver that fails several times in a row is no way to ask a person any more, until it has answered again.
public struct DeliveryQueue: Sendable {
  /// How much is kept and tried.
  public struct Bounds: Hashable, Sendable {
    /// Questions that are told of at the same time; a further one is not.
    public var questions = 256
    /// Tries of one message.
    public var tries = 8
    /// Failures in a row after which nobody can be asked by the webhook.
    public var failures = 3
    /// In milliseconds: the first pause, and the longest. What a receiver asks for may be longer, up to `longestWish`.
    public var pause: UInt64 = 500, longestPause: UInt64 = 30_000, longestWish: UInt64 = 300_000

    /// Makes the bounds that a gate has.
    public init() {}
  }

  /// One message.
  public struct Delivery: Hashable, Sendable {
    /// What it says.
    public enum Content: Hashable, Sendable {
      /// Whether anybody is there.
      case hello
      /// A question waits.
      case asked(PendingStatus)
      /// It is over.
      case closed(ClosedStatus)
    }

    /// What it says.
    public internal(set) var content: Content
    /// The same for each try of the same message: the question's id, and what has become of it.
    public let key: String
  }

  /// What a try came to.
  public enum Outcome: Hashable, Sendable {
    /// The receiver has it.
    case taken
    /// It will never take this one, and why.
    case refused(String)
    /// It does not take it now, and why; in milliseconds, how long it asks to be left alone.
    case failed(String, pause: UInt64)
  }

  /// What is worth a record.
  public enum Note: Hashable, Sendable {
    /// People can be asked by it from now on.
    case attached
    /// They cannot any more, and why.
    case detached(String)
    /// A message is not tried any more, and why.
    case gaveUp(String, String)
  }

  /// What is to be done.
  public enum Step: Hashable, Sendable {
    /// This is sent, and `finish` told what it came to.
    case send(Delivery)
    /// Nothing before this time in milliseconds; nil: nothing before something is heard.
    case wait(until: UInt64?)
  }

  private struct Entry {
    let id: String
    var question: PendingStatus?
    /// What the receiver was told.
    var told: String?
    var closed: ClosedStatus?
    var tries = 0
  }

  private let bounds: Bounds
  private var entries: [Entry] = []
  private var failures = 0
  private var restUntil: UInt64 = 0
  /// The question whose message is on its way.
  private var underWay: String?
  /// Whether people can be asked by it.
  public private(set) var isAttached = false
  /// Messages that were not told, since there were too many or they were tried too often.
  public private(set) var dropped: UInt64 = 0

  /// Makes an empty queue, by which nobody can be asked yet.
  public init(_ bounds: Bounds = Bounds()) { self.bounds = bounds }

  /// How many questions it is about.
  public var count: Int { entries.count }
}

// MARK: - What is heard

extension DeliveryQueue {
  /// A question waits, or there is more to it than before.
  public mutating func ask(_ question: PendingStatus) {
    if let place = entries.firstIndex(where: { $0.id == question.id }) {
      if entries[place].question?.digest != question.digest { entries[place].tries = 0 }
      entries[place].question = question
    } else if entries.count < bounds.questions {
      entries.append(Entry(id: question.id, question: question))
    } else {
      dropped += 1
    }
  }

  /// A question is over. Whoever was not told of it need not be told of its end.
  public mutating func close(_ closed: ClosedStatus) {
    guard let place = entries.firstIndex(where: { $0.id == closed.id }) else { return }
    guard entries[place].told != nil || entries[place].tries > 0 || underWay == closed.id else {
      entries.remove(at: place)
      return
    }
    (entries[place].question, entries[place].closed, entries[place].tries) = (nil, closed, 0)
  }
}

// MARK: - What is done

extension DeliveryQueue {
  /// What is to be done at `now`, in milliseconds of a clock that only goes forward.
  public mutating func next(at now: UInt64) -> Step {
    guard now >= restUntil else { return .wait(until: restUntil) }
    guard isAttached else { return .send(Delivery(content: .hello, key: "hello")) }
    guard let delivery = first else { return .wait(until: nil) }
    if case .asked(let question) = delivery.content { underWay = question.id }
    return .send(delivery)
  }

  private var first: Delivery? {
    for entry in entries {
      if let closed = entry.closed {
        return Delivery(content: .closed(closed), key: "\(entry.id)-closed")
      }
      if let question = entry.question, entry.told != question.digest {
        // A list that has grown is another message about the same question.
        let key = entry.told == nil ? entry.id : "\(entry.id)-\(question.digest)"
        return Delivery(content: .asked(question), key: key)
      }
    }
    return nil
  }

  /// Takes what a try came to.
  ///
  /// - Parameter jitter: Between 0 and 1, so that many gates do not come back at once.
  public mutating func finish(_ delivery: Delivery, _ outcome: Outcome, at now: UInt64, jitter: Double)
    -> [Note]
  {
    underWay = nil
    switch outcome {
    case .taken:
      (failures, restUntil) = (0, now)
      settle(delivery)
      guard !isAttached else { return [] }
      isAttached = true
      return [.attached]
    case .refused(let why):
      return fail(why, at: now, pause: 0, jitter) + giveUp(delivery, why)
    case .failed(let why, let pause):
      return fail(why, at: now, pause: pause, jitter) + retry(delivery, why)
    }
  }

  private mutating func settle(_ delivery: Delivery) {
    switch delivery.content {
    case .hello: break
    case .asked(let question):
      guard let place = entries.firstIndex(where: { $0.id == question.id }) else { return }
      (entries[place].told, entries[place].tries) = (question.digest, 0)
    case .closed(let closed): entries.removeAll { $0.id == closed.id }
    }
  }

  private mutating func fail(_ why: String, at now: UInt64, pause: UInt64, _ jitter: Double) -> [Note] {
    failures += 1
    let doubled = bounds.pause << UInt64(min(failures - 1, 16))
    let own = Double(min(doubled, bounds.longestPause)) * (0.5 + min(max(jitter, 0), 1))
    restUntil = now + max(UInt64(own), min(pause, bounds.longestWish))
    guard isAttached, failures >= bounds.failures else { return [] }
    isAttached = false
    return [.detached(why)]
  }

  private mutating func retry(_ delivery: Delivery, _ why: String) -> [Note] {
    guard let place = place(of: delivery) else { return [] }
    entries[place].tries += 1
    return entries[place].tries < bounds.tries ? [] : giveUp(delivery, why)
  }

  private mutating func giveUp(_ delivery: Delivery, _ why: String) -> [Note] {
    guard let place = place(of: delivery) else { return [] }
    let entry = entries[place]
    dropped += 1
    if case .asked(let question) = delivery.content, entry.closed == nil {
      // It stays, so that a change of it is told; this form of it is not.
      (entries[place].told, entries[place].tries) = (question.digest, 0)
    } else {
      entries.remove(at: place)
    }
    return [.gaveUp(entry.id, why)]
  }

  private func place(of delivery: Delivery) -> Int? {
    switch delivery.content {
    case .hello: nil
    case .asked(let question): entries.firstIndex { $0.id == question.id }
    case .closed(let closed): entries.firstIndex { $0.id == closed.id }
    }
  }
}
