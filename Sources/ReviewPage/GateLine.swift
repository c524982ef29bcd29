import Control

/// How the page speaks with the running gate about questions: by its control socket, as the command line does.
public struct GateLine: Sendable {
  /// Asks, and waits for every line of the answer; a refusal is an answer too.
  public var ask: @Sendable (ControlRequest) throws(ReviewProblem) -> [ControlReply]
  /// Takes one line after the other for as long as `isWanted` says so, or until the gate ends it.
  public var follow:
    @Sendable (
      _ request: ControlRequest, _ isWanted: @escaping () -> Bool, _ take: (ControlReply) -> Void
    ) throws(ReviewProblem) -> Void

  /// Makes a line.
  public init(
    ask: @escaping @Sendable (ControlRequest) throws(ReviewProblem) -> [ControlReply],
    follow:
      @escaping @Sendable (
        _ request: ControlRequest, _ isWanted: @escaping () -> Bool, _ take: (ControlReply) -> Void
      ) throws(ReviewProblem) -> Void
  ) {
    (self.ask, self.follow) = (ask, follow)
  }
}

extension GateLine {
  /// The questions that wait.
  func questions() throws(ReviewProblem) -> [PendingStatus] {
    try list(.pending).compactMap { if case .question(let question) = $0 { question } else { nil } }
  }

  /// What stands approved, and what was answered for good.
  func grants() throws(ReviewProblem) -> [GrantStatus] {
    try list(.granted).compactMap { if case .grant(let grant) = $0 { grant } else { nil } }
  }

  /// Every line of an answer that ends with how many there were.
  private func list(_ request: ControlRequest) throws(ReviewProblem) -> [ControlReply] {
    let replies = try ask(request)
    if case .refused(let why)? = replies.first { throw ReviewProblem("the gate refuses: \(why).") }
    guard case .listed(let count)? = replies.last, count == replies.count - 1 else {
      throw ReviewProblem("the gate's answer is cut short. Load the page again.")
    }
    return replies
  }
}
