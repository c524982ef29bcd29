import Approvals
import Control
import EventLoop
import Policy
import Synchronization

// Who follows questions at the control socket.

extension Gate {
  /// In bytes: all that may wait of one agent's questions with the longest paths there are, many times over.
  private static let followLimit = 8 << 20

  /// Sends every question and its end, for as long as the client stays. Only who may answer can be asked.
  func follow(_ reply: ControlAnswer, for peer: PeerCredentials) {
    let (session, stream) = session(reply, for: peer, by: .control)
    tell(session, stream, peer)
  }

  /// As `follow`, for a review page, which hears first that it is somebody who can be asked.
  func attend(_ reply: ControlAnswer, for peer: PeerCredentials) {
    let (session, stream) = session(reply, for: peer, by: .page)
    stream.push(ControlReply.listed(approvals.questions.count).line())
    tell(session, stream, peer)
  }

  private func tell(_ session: FollowSession, _ stream: MessageStream, _ peer: PeerCredentials) {
    session.begin { [door] event in stream.push(ControlReply(event, to: door.role(of: peer)).line()) }
  }

  /// - Parameter channel: By what he answers; nil where he does not.
  private func session(_ reply: ControlAnswer, for peer: PeerCredentials, by channel: ApprovalChannel?)
    -> (FollowSession, MessageStream)
  {
    let session = FollowSession(approvals, by: channel)
    let stream = reply.stream(limit: Self.followLimit) { [followers] in followers.end(session) }
    followers.add(session, stream, of: peer)
    followers.look(at: door)
    return (session, stream)
  }

  /// Sends the end of one question. Whoever waits for that is told, and answers nothing.
  func wait(for id: String, _ reply: ControlAnswer, for peer: PeerCredentials) {
    guard let id = PendingID(id) else { return reply(.refused(AnswerRefusal.unknown.sentence)) }
    let (session, stream) = session(reply, for: peer, by: nil)
    session.begin { event in
      guard case .closed(let question, let outcome) = event, question.id == id else { return }
      stream.push(ControlReply.closed(ClosedStatus(id, outcome)).line())
      stream.end()
    }
    // Looked at behind the beginning, so that an end in between is seen by one or the other.
    if let outcome = approvals.outcome(of: id) {
      stream.push(ControlReply.closed(ClosedStatus(id, outcome)).line())
      stream.end()
    } else if approvals.question(id) == nil {
      stream.push(ControlReply.refused(AnswerRefusal.unknown.sentence).line())
      stream.end()
    }
  }
}

/// Those who follow now, each with the user that the kernel names, so that another policy's roles reach them.
///
/// Now and then each is asked whether he lives: a connection stays open when its process hangs.
final class Followers: Sendable {
  private struct Entry {
    var session: FollowSession
    var stream: MessageStream
    var peer: PeerCredentials
    var life: Liveness
  }

  private let entries = Mutex<[ObjectIdentifier: Entry]>([:])
  /// Held while they are looked at, so that each look begins with what is known once the one before is over.
  private let looking = Mutex(())
  private let lastBeat = Atomic<UInt64>(0)

  fileprivate func add(_ session: FollowSession, _ stream: MessageStream, of peer: PeerCredentials) {
    let entry = Entry(session: session, stream: stream, peer: peer, life: Liveness(since: .now()))
    entries.withLock { $0[ObjectIdentifier(session)] = entry }
    // It may have ended before it was entered.
    if session.isOver { end(session) }
  }

  fileprivate func end(_ session: FollowSession) {
    session.end()
    _ = entries.withLock { $0.removeValue(forKey: ObjectIdentifier(session)) }
  }

  /// Ends those who may not see any more, and counts as somebody who can be asked who may answer, and nobody else.
  func look(at door: ReviewerDoor) {
    looking.withLock { _ in
      for entry in entries.withLock({ Array($0.values) }) { look(at: entry, door) }
    }
  }

  private func look(at entry: Entry, _ door: ReviewerDoor) {
    if let role = door.role(of: entry.peer) {
      return entry.session.count(role.covers(.approve) && entry.life.isAlive)
    }
    end(entry.session)
    entry.stream.end()
  }

  /// Asks those who were not asked for a while, and counts nobody who has not answered; called each second.
  func beat(at now: MonotonicTime, _ door: ReviewerDoor) {
    let (asked, hasChanged) = entries.withLock { entries in
      var asked: [(MessageStream, UInt64)] = [], hasChanged = false
      for key in entries.keys where entries[key]?.session.asksPeople == true {
        let wasAlive = entries[key]?.life.isAlive
        if let stream = entries[key]?.stream, entries[key]?.life.isDue(at: now) == true {
          let number = lastBeat.add(1, ordering: .relaxed).newValue
          entries[key]?.life.ask(number, at: now)
          asked.append((stream, number))
        }
        entries[key]?.life.look(at: now)
        hasChanged = hasChanged || wasAlive != entries[key]?.life.isAlive
      }
      return (asked, hasChanged)
    }
    for (stream, number) in asked { stream.push(ControlReply.beat(number).line()) }
    if hasChanged { look(at: door) }
  }

  /// Somebody answered a beat: the one who was asked by it, if he is the same user.
  func hear(_ number: UInt64, of peer: PeerCredentials, at now: MonotonicTime, _ door: ReviewerDoor) {
    let wasDead = entries.withLock { entries in
      guard let key = entries.first(where: { $0.value.life.beat == number })?.key,
        let entry = entries[key], entry.peer.uid == peer.uid
      else { return false }
      entries[key]?.life.hear(at: now)
      return !entry.life.isAlive
    }
    if wasDead { look(at: door) }
  }
}

/// Whether somebody who follows has lately answered that he lives. Pure; time is an argument.
struct Liveness: Sendable {
  /// How often he is asked.
  static let pause = Duration.seconds(10)
  /// How long he is believed to live without an answer: three times asked in vain, and some more.
  static let patience = Duration.seconds(35)

  /// What he was asked last; 0: nothing yet.
  private(set) var beat: UInt64 = 0
  private(set) var isAlive = true
  private var asked: MonotonicTime
  private var heard: MonotonicTime

  init(since now: MonotonicTime) { (asked, heard) = (now, now) }

  /// Whether it is time to ask.
  func isDue(at now: MonotonicTime) -> Bool { now - asked >= Self.pause }

  mutating func ask(_ number: UInt64, at now: MonotonicTime) { (beat, asked) = (number, now) }

  mutating func hear(at now: MonotonicTime) { (heard, isAlive) = (now, true) }

  mutating func look(at now: MonotonicTime) { isAlive = now - heard < Self.patience }
}

/// Somebody who follows; over once, whichever side ends it.
private final class FollowSession: Sendable {
  private struct State {
    var channel: AttachedChannel?
    var follower: UInt64?
    var isOver = false
  }

  private let desk: ApprovalDesk
  private let channel: ApprovalChannel?
  private let state = Mutex(State())

  /// - Parameter channel: By what he answers; nil where he does not.
  init(_ desk: ApprovalDesk, by channel: ApprovalChannel?) {
    (self.desk, self.channel) = (desk, channel)
  }

  var isOver: Bool { state.withLock { $0.isOver } }

  /// Whether he answers, and does not only wait for another's answer.
  var asksPeople: Bool { channel != nil }

  /// Counts him as somebody who can be asked, or not any more.
  func count(_ canBeAsked: Bool) {
    guard let kind = channel, canBeAsked != state.withLock({ $0.channel != nil }) else { return }
    var channel = canBeAsked ? desk.attach(kind) : nil
    // What is let go is let go outside: the desk is told then.
    state.withLock { state in
      guard !state.isOver else { return }
      swap(&state.channel, &channel)
    }
    extendLifetime(channel)
  }

  func begin(_ hear: @escaping @Sendable (BookEvent) -> Void) {
    let follower = desk.follow(hear)
    let isOver = state.withLock { state in
      state.follower = follower
      return state.isOver
    }
    if isOver { desk.unfollow(follower) }
  }

  func end() {
    let (channel, follower) = state.withLock { state in
      state.isOver = true
      defer { state.channel = nil }
      return (state.channel, state.follower)
    }
    if let follower { desk.unfollow(follower) }
    extendLifetime(channel)
  }
}
