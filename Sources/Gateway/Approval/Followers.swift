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
final class Followers: Sendable {
  private struct Entry {
    var session: FollowSession
    var stream: MessageStream
    var peer: PeerCredentials
  }

  private let entries = Mutex<[ObjectIdentifier: Entry]>([:])

  fileprivate func add(_ session: FollowSession, _ stream: MessageStream, of peer: PeerCredentials) {
    let entry = Entry(session: session, stream: stream, peer: peer)
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
    for entry in entries.withLock({ Array($0.values) }) {
      guard let role = door.role(of: entry.peer) else {
        end(entry.session)
        entry.stream.end()
        continue
      }
      entry.session.count(role.covers(.approve))
    }
  }
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
