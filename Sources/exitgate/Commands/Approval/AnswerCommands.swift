import ArgumentParser
import Control

/// Which question is answered.
struct QuestionArgument: ParsableArguments {
  @Argument(help: ArgumentHelp("The question's id, as 'exitgate pending' shows it.", valueName: "id"))
  var id: String

  @Option(
    help: ArgumentHelp(
      "What you were shown: the 'digest' of 'pending --json'. An answer to anything else has no effect.",
      valueName: "digest"))
  var digest: String?

  @Option(help: ArgumentHelp("Why, for the log and the overlay.", valueName: "text"))
  var note: String?

  func order(_ question: PendingStatus, scope: String, seconds: Int64? = nil) -> AnswerOrder {
    AnswerOrder(
      id: id, generation: question.generation, digest: digest ?? question.digest, scope: scope,
      seconds: seconds, note: note)
  }
}

/// `exitgate approve`
struct Approve: Verb {
  static let configuration = CommandConfiguration(
    commandName: "approve",
    abstract: "Let pass what an agent asks for.",
    discussion: """
      The answer is for exactly what the question shows: this agent, host, port and protocol. A connection that is \
      held goes on; else the next try passes. The floor and deny rules hold all the same.

        exitgate approve k3vt7m2qnd5wzx4a               once: one connection
        exitgate approve k3vt7m2qnd5wzx4a --for 1h      for an hour, then what is open is cut
        exitgate approve k3vt7m2qnd5wzx4a --session     until the gate ends
        exitgate approve k3vt7m2qnd5wzx4a --always      for good: written beside the log, see 'serve --overlay'

      'exitgate revoke' takes back all but the first. The log says who answered, what, and when.

      Exit status: 0 when it counts, 1 when it does not, with the reason: the question is over, another policy is \
      in force, or it is not what was shown. 69 when no gate answers.
      """)

  @OptionGroup var question: QuestionArgument

  @Flag(help: "One connection; so also without any of these.")
  var once = false

  @Option(
    name: .customLong("for"),
    help: ArgumentHelp("From now on for so long: 90s, 30m, 8h or 7d, at most 30d.", valueName: "time"),
    transform: Reading.seconds)
  var time: Int64?

  @Flag(help: "Until the gate ends.")
  var session = false

  @Flag(help: "For good.")
  var always = false

  @OptionGroup var control: ControlOption

  func validate() throws {
    if [once, time != nil, session, always].count(where: { $0 }) > 1 {
      throw ValidationError("Give one of --once, --for, --session and --always.")
    }
  }

  func run(in here: Surroundings) throws(Failure) -> Int32 {
    let gate = RunningGate(controlPath: control.path(in: here))
    let scope = always ? "always" : session ? "session" : time != nil ? "time" : "once"
    let shown = try gate.question(question.id)
    // A list grows while it is read; one destination stays what it is.
    guard shown.places.count == 1 || question.digest != nil else {
      throw Failure(
        .usage,
        "the question lists \(shown.places.count) destinations, and may list more by now. Give the --digest of what you were shown, as 'exitgate pending' prints it."
      )
    }
    let order = question.order(shown, scope: scope, seconds: time)
    return try gate.answer(.approve(order), on: here.console)
  }
}

/// `exitgate refuse`
struct Refuse: Verb {
  static let configuration = CommandConfiguration(
    commandName: "refuse",
    abstract: "Deny what an agent asks for.",
    discussion: """
      Whoever waits is told at once. The same is not asked about again for a while, and after three refusals not \
      until the gate is started anew.

        exitgate refuse k3vt7m2qnd5wzx4a                now
        exitgate refuse k3vt7m2qnd5wzx4a --session      until the gate ends
        exitgate refuse k3vt7m2qnd5wzx4a --always       for good; 'exitgate revoke' takes it back

      Exit status: as that of 'exitgate approve'.
      """)

  @OptionGroup var question: QuestionArgument

  @Flag(help: "Until the gate ends.")
  var session = false

  @Flag(help: "For good.")
  var always = false

  @OptionGroup var control: ControlOption

  func validate() throws {
    if session, always { throw ValidationError("Give one of --session and --always.") }
  }

  func run(in here: Surroundings) throws(Failure) -> Int32 {
    let gate = RunningGate(controlPath: control.path(in: here))
    let order = question.order(
      try gate.question(question.id), scope: always ? "always" : session ? "session" : "once")
    return try gate.answer(.refuse(order), on: here.console)
  }
}

/// `exitgate wait`
struct Wait: Verb {
  static let configuration = CommandConfiguration(
    commandName: "wait",
    abstract: "Wait until a question is over.",
    discussion: """
      For scripts around an agent: it was told 'pending_approval' with an id, and is tried again once somebody \
      has answered. A question that nobody asks about any more is over after ten minutes.

        exitgate wait k3vt7m2qnd5wzx4a && npm install

      Exit status: 0 when it was allowed, 1 when it was refused or is not known, 2 when it ended without an \
      answer, 69 when no gate answers.
      """)

  @Argument(help: ArgumentHelp("The question's id.", valueName: "id"))
  var id: String

  @OptionGroup var control: ControlOption

  func run(in here: Surroundings) throws(Failure) -> Int32 {
    var end: ClosedStatus?
    try RunningGate(controlPath: control.path(in: here)).follow(.wait(id: id)) { reply in
      if case .closed(let closed) = reply { end = closed }
      return end == nil
    }
    guard let end else { throw Failure(.general, "no question is called '\(id)'.") }
    here.console.result("\(Text(end.id, .strong))  \(end.sentence)")
    return end.outcome == "allowed" ? 0 : end.outcome == "refused" ? 1 : 2
  }
}

/// `exitgate revoke`
struct Revoke: Verb {
  static let configuration = CommandConfiguration(
    commandName: "revoke",
    abstract: "Take back what a person approved, refused until the gate ends, or answered for good.",
    discussion: """
      Connections that passed by it are cut at once, and what comes next is asked about again: also what was \
      refused so often that the asking had ended.

        exitgate pending --granted              what there is to take back
        exitgate revoke k3vt7m2qnd5wzx4a
        exitgate revoke approved-k3vt7m2qnd5wzx4a

      Exit status: 0 when it was taken back, 1 when nothing is called so, 69 when no gate answers.
      """)

  @Argument(help: ArgumentHelp("What 'exitgate pending --granted' calls it.", valueName: "id"))
  var id: String

  @OptionGroup var control: ControlOption

  func run(in here: Surroundings) throws(Failure) -> Int32 {
    try RunningGate(controlPath: control.path(in: here)).answer(.revoke(id: id), on: here.console)
  }
}

extension RunningGate {
  /// Sends an answer and shows what became of it.
  ///
  /// - Throws: With exit status 1 when it has no effect.
  func answer(_ request: ControlRequest, on console: Console) throws(Failure) -> Int32 {
    switch try replies(request).first {
    case .answered(let words)?: console.result("\(words)")
    case .revoked(let closed)?: console.result("taken back; \(count(closed, "connection")) cut")
    case .refused(let why)?: throw Failure(.general, "no effect: \(why).")
    default: throw Failure(.host, "the gate answered something else. Use the same version on both sides.")
    }
    return 0
  }
}
