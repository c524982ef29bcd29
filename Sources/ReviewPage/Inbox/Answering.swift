import Control

/// Hands a person's answer to the gate, which decides whether it counts.
struct Answering: Sendable {
  let line: GateLine?

  /// What the buttons of a question stand for, by the words in which the gate offers it.
  ///
  /// - Returns: The request; nil for what is no answer.
  static func request(_ field: (String) -> String?) -> ControlRequest? {
    guard let id = field("id"), let generation = field("generation").flatMap({ UInt64($0) }),
      let digest = field("digest"), let answer = field("answer")
    else { return nil }
    var order = AnswerOrder(
      id: id, generation: generation, digest: digest, scope: answer, note: field("note"), channel: "page")
    switch answer {
    case "once", "session", "always": return .approve(order)
    case "time":
      guard let seconds = field("seconds").flatMap({ Int64($0) }) else { return nil }
      order.seconds = seconds
      return .approve(order)
    case "refuse": order.scope = "once"
    case "refuse-session": order.scope = "session"
    case "refuse-always": order.scope = "always"
    default: return nil
    }
    return .refuse(order)
  }

  /// Gives the answer.
  func answer(_ field: (String) -> String?) -> Applying.Outcome? {
    Self.request(field).map { carryOut($0) }
  }

  /// Takes back what was approved, or answered for good.
  func revoke(_ field: (String) -> String?) -> Applying.Outcome? {
    field("id").map { carryOut(.revoke(id: $0)) }
  }

  private func carryOut(_ request: ControlRequest) -> Applying.Outcome {
    guard let line else {
      return .init(
        isApplied: false, text: "no gate is spoken to. Start exitgate review with --control SOCKET.")
    }
    do throws(ReviewProblem) {
      switch try line.ask(request).first {
      case .answered(let words)?: return .init(isApplied: true, text: words)
      case .revoked(let closed)?:
        return .init(isApplied: true, text: "taken back; \(count(closed, "connection")) cut")
      case .refused(let why)?: return .init(isApplied: false, text: why)
      default: return .init(isApplied: false, text: "the gate answered something else")
      }
    } catch {
      return .init(isApplied: false, text: error.text)
    }
  }
}
