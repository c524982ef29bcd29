import EventLoop
import Wire

/// Answers that are ready to be written, found by the question's bytes.
///
/// The hash is keyed anew in every process (`Hasher`), and only finds a place;
/// the bytes are compared. When the table is full, the entry that goes is the
/// next one round the clock that is over or was not used since the hand last
/// passed.
struct AnswerTable {
  /// How often an entry was given out and not yet told of.
  struct Heard {
    /// Whether its first question has a record of its own.
    var isRecorded: Bool
    /// When it was last told of.
    var told: MonotonicTime
    var count: UInt64 = 0
    var first = MonotonicTime(nanoseconds: 0)
    var last = MonotonicTime(nanoseconds: 0)

    mutating func add(_ now: MonotonicTime) {
      if count == 0 { first = now }
      (count, last) = (count + 1, now)
    }
  }

  struct Entry {
    let key: QuestionKey
    /// The same question as a value, for the log.
    let question: Question
    var answered: Answered
    var heard: Heard
    fileprivate var isUsed = false
    /// Whether its place is one of those that are listened to.
    fileprivate var isTalking = false
    /// The next entry in the same bucket; -1: none.
    fileprivate var next: Int32 = -1

    init(_ key: QuestionKey, _ question: Question, _ answered: Answered, _ heard: Heard) {
      (self.key, self.question, self.answered, self.heard) = (key, question, answered, heard)
    }
  }

  private let capacity: Int
  private var heads: [Int32]
  private(set) var entries: [Entry] = []
  private var hand = 0
  /// Places of entries that may have something to tell, each once; one that was
  /// taken over has nothing.
  private var talking: [Int32] = []

  /// - Parameter capacity: The most entries.
  init(capacity: Int) {
    self.capacity = capacity
    var size = 16
    while size < capacity { size *= 2 }
    heads = Array(repeating: -1, count: size)
  }

  var count: Int { entries.count }
  /// Places that are looked at when it is told what was given.
  var listened: Int { talking.count }

  /// The place of the entry for a question, over or not; nil when there is none.
  ///
  /// - Parameter name: The name in lower case, as on the wire.
  func place(of name: UnsafeRawBufferPointer, hash: Int, _ type: DNSRecordType, _ agent: AgentNumber) -> Int?
  {
    var place = Int(heads[hash & (heads.count - 1)])
    while place >= 0 {
      if entries[place].key.isEqual(name, hash, type, agent) { return place }
      place = Int(entries[place].next)
    }
    return nil
  }

  /// Counts that an entry is given out. False: it has no record of its own, so it
  /// is to be counted with others.
  mutating func give(_ place: Int, at now: MonotonicTime) -> Bool {
    entries[place].isUsed = true
    guard entries[place].heard.isRecorded else { return false }
    entries[place].heard.add(now)
    guard !entries[place].isTalking else { return true }
    entries[place].isTalking = true
    talking.append(Int32(place))
    return true
  }

  /// Puts an answer in the place of an older one. What was counted of that stays,
  /// to be told in its time, where the same is to be said about both.
  ///
  /// - Returns: The older one, where it is another story and has something to tell.
  mutating func replace(_ place: Int, _ answered: Answered, _ heard: Heard) -> Entry? {
    let old = entries[place]
    entries[place].answered = answered
    guard old.answered.verdict.isTold(like: answered.verdict) else {
      entries[place].heard = heard
      return old.heard.count > 0 ? old : nil
    }
    entries[place].heard = heard.isRecorded && old.heard.count == 0 ? heard : old.heard
    return nil
  }

  /// The entries given out since they were last told of, `period` ago or longer.
  mutating func tell(at now: MonotonicTime, after period: Duration) -> [Entry] {
    var told: [Entry] = [], later: [Int32] = []
    for place in talking {
      let entry = entries[Int(place)]
      guard now - entry.heard.told >= period else {
        later.append(place)
        continue
      }
      if entry.heard.count > 0 { told.append(entry) }
      entries[Int(place)].isTalking = false
      entries[Int(place)].heard.count = 0
      entries[Int(place)].heard.told = now
    }
    talking = later
    return told
  }

  /// Adds an entry. Returns the one that had to go for it.
  mutating func insert(_ entry: Entry, at now: MonotonicTime) -> Entry? {
    guard entries.count == capacity else {
      entries.append(entry)
      link(entries.count - 1)
      return nil
    }
    let place = nextVictim(at: now)
    unlink(place)
    // Swapped, since a copy would count each of its parts.
    var evicted = entry
    swap(&entries[place], &evicted)
    entries[place].isTalking = evicted.isTalking
    link(place)
    return evicted
  }

  /// Forgets every answer.
  mutating func removeAll() {
    entries = []
    talking = []
    hand = 0
    for index in heads.indices { heads[index] = -1 }
  }

  private func bucket(of place: Int) -> Int { entries[place].key.hash & (heads.count - 1) }

  private mutating func link(_ place: Int) {
    let bucket = bucket(of: place)
    entries[place].next = heads[bucket]
    heads[bucket] = Int32(place)
  }

  private mutating func unlink(_ place: Int) {
    let bucket = bucket(of: place)
    guard Int(heads[bucket]) != place else {
      heads[bucket] = entries[place].next
      return
    }
    var before = Int(heads[bucket])
    while Int(entries[before].next) != place { before = Int(entries[before].next) }
    entries[before].next = entries[place].next
  }

  private mutating func nextVictim(at now: MonotonicTime) -> Int {
    while true {
      defer { hand = (hand + 1) % capacity }
      guard entries[hand].isUsed, now < entries[hand].answered.until else { return hand }
      entries[hand].isUsed = false
    }
  }
}

/// A question of one agent, by its bytes.
struct QuestionKey {
  let hash: Int
  let type: DNSRecordType
  let agent: AgentNumber
  /// In lower case, as on the wire.
  let name: [UInt8]

  @inline(__always)
  func isEqual(
    _ other: UnsafeRawBufferPointer, _ hash: Int, _ type: DNSRecordType, _ agent: AgentNumber
  ) -> Bool {
    guard self.hash == hash, self.type == type, self.agent == agent, name.count == other.count else {
      return false
    }
    return name.withUnsafeBytes { $0.elementsEqual(other) }
  }

  /// The hash of a question; keyed for this process.
  static func hash(_ name: UnsafeRawBufferPointer, _ type: DNSRecordType, _ agent: AgentNumber) -> Int {
    var hasher = Hasher()
    hasher.combine(bytes: name)
    hasher.combine(type.rawValue)
    hasher.combine(agent)
    return hasher.finalize() & .max
  }
}
