import Control
import EventLoop
import Glibc
import Logging
import Policy
import Synchronization
import SystemPackage

/// Who may ask what at the control socket, for any thread: root and the gate's
/// own user everything, others what the policy in force gives them.
public final class ReviewerDoor: Sendable {
  private let gateUser: UInt32
  private let reviewers: Mutex<Reviewers>

  /// Makes a door that lets in root and `gateUser` alone.
  public init(gateUser: UInt32 = geteuid()) {
    self.gateUser = gateUser
    reviewers = Mutex(Reviewers())
  }

  /// Lets in whom the policy names, and nobody whom it does not name any more.
  func admit(_ next: Reviewers) { reviewers.withLock { $0 = next } }

  /// What who answers by the webhook may do.
  var webhookRole: ReviewerRole { reviewers.withLock { $0.webhook } }

  /// What a peer may do; nil for a stranger.
  public func role(of peer: PeerCredentials) -> ReviewerRole? {
    reviewers.withLock { $0.role(of: peer.uid, gateUser: gateUser) }
  }

  /// What a peer lacks for a request; nil where it may.
  func refusal(of request: ControlRequest, to peer: PeerCredentials) -> String? {
    refusal(of: "'\(request.verb.rawValue)'", needing: request.role, to: peer)
  }

  /// What a peer lacks to take back a rule that was written down and denies, as nobody does but who may write it.
  func refusalOfTakingBackDenials(to peer: PeerCredentials) -> String? {
    refusal(of: "'revoke' of what was refused for good", needing: .edit, to: peer)
  }

  private func refusal(of what: String, needing needed: ReviewerRole, to peer: PeerCredentials) -> String? {
    let role = role(of: peer)
    guard role?.covers(needed) != true else { return nil }
    return "\(what) needs the role '\(needed.rawValue)', and user \(peer.uid) has "
      + (role.map { "'\($0.rawValue)'" } ?? "none") + "; the policy's 'reviewers' says who has which"
  }
}

extension ControlRequest {
  /// What whoever asks it must be.
  public var role: ReviewerRole {
    switch self {
    case .status, .pending, .granted, .follow, .here, .wait: .read
    case .approve(let order), .refuse(let order): order.scope == "always" ? .edit : .approve
    case .stop, .resume, .revoke, .attend: .approve
    case .reload: .edit
    }
  }
}

extension Gate {
  /// Lets in whom the policy in force names, and those who follow stay as far as it does; the socket's file
  /// changes too, since connecting needs its mode.
  func openDoor(to reviewers: Reviewers) {
    door.admit(reviewers)
    followers.look(at: door)
    let mode: mode_t = reviewers.roles.isEmpty ? 0o600 : 0o666
    guard chmod(configuration.controlPath, mode) != 0 else { return }
    words.warning("the control socket keeps its mode: \(Errno(rawValue: errno)); reviewers cannot connect")
  }
}
