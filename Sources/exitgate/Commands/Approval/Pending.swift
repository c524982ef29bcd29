import ArgumentParser
import Audit
import Control
import Glibc

/// `exitgate pending`
struct Pending: Verb {
  static let configuration = CommandConfiguration(
    commandName: "pending",
    abstract: "Show the questions that wait for a person.",
    discussion: """
      Where a rule says 'action: ask', the gate holds the connection and asks whoever is there: one who may answer \
      and follows with this command, or looks at the review page. With nobody there it denies at once, so leave \
      --follow running.

        exitgate pending --follow               each question as it comes, and how it ends
        exitgate pending --json                 those that wait, an array of objects
        exitgate pending --granted              what stands approved or refused, and what was answered for good

      Each question says who asks for what, since when and how often, and the exact rule that 'approve --always' \
      would add. Names are shown as they are on the wire; what looks like another name is marked.

      Exit status: 0 when a gate answers, 69 when none does, or when it ends while it is followed.
      """)

  @OptionGroup var control: ControlOption

  @Flag(help: "Go on: show each question as it comes and as it ends. Whoever follows can be asked.")
  var follow = false

  @Flag(
    name: [.long, .customLong("all")],
    help: "What was answered and stands, approved or refused, instead of what waits; 'revoke' takes it back.")
  var granted = false

  @Flag(help: "Print one JSON array; with --follow one object a line.")
  var json = false

  func validate() throws {
    if follow, granted { throw ValidationError("--follow and --granted exclude each other.") }
  }

  func run(in here: Surroundings) throws(Failure) -> Int32 {
    let gate = RunningGate(controlPath: control.path(in: here))
    if follow {
      try gate.follow(.follow) { reply throws(Failure) in
        if case .refused(let why) = reply { throw Failure(.host, "the gate refuses: \(why).") }
        return show(reply, on: here.console)
      }
      throw Failure(.host, "the gate has ended, or had to wait for this too long. Follow it anew.")
    }
    if granted {
      let grants = try gate.grants()
      if json {
        here.console.result(.array(grants.map(\.json)))
      } else {
        grants.map(\.line).forEach(here.console.result)
      }
      if grants.isEmpty, !json { here.console.say("Nothing stands answered.") }
      return 0
    }
    let questions = try gate.questions()
    if json {
      here.console.result(.array(questions.map(\.json)))
    } else {
      for question in questions { PendingView(question, width: columns()).lines.forEach(here.console.result) }
      if questions.isEmpty { here.console.say("Nothing waits for a person.") }
    }
    return 0
  }

  /// - Returns: true, to go on.
  private func show(_ reply: ControlReply, on console: Console) -> Bool {
    switch (reply, json) {
    case (.question(let question), true):
      console.result(.object([.init("event", .string("asked")), .init("question", question.json)]))
    case (.closed(let closed), true):
      console.result(.object([.init("event", .string("closed")), .init("closed", closed.json)]))
    case (.question(let question), false):
      PendingView(question, width: columns()).lines.forEach(console.result)
    case (.closed(let closed), false): console.result("\(Text(closed.id, .strong))  \(closed.sentence)")
    default: break
    }
    console.flush()
    return true
  }
}

/// The columns of the terminal that standard output is; 100 for a file.
func columns() -> Int {
  var size = winsize()
  guard ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 else { return 100 }
  return Int(size.ws_col)
}

extension RunningGate {
  /// The questions that wait.
  func questions() throws(Failure) -> [PendingStatus] {
    try list(.pending).compactMap { if case .question(let question) = $0 { question } else { nil } }
  }

  /// What stands.
  func grants() throws(Failure) -> [GrantStatus] {
    try list(.granted).compactMap { if case .grant(let grant) = $0 { grant } else { nil } }
  }

  /// A question that waits.
  ///
  /// - Throws: When there is none, with what became of it where the gate knows.
  func question(_ id: String) throws(Failure) -> PendingStatus {
    if let question = try questions().first(where: { $0.id == id }) { return question }
    var ended: String?
    try follow(.wait(id: id)) { reply in
      if case .closed(let closed) = reply { ended = closed.sentence }
      return false
    }
    throw Failure(
      .general,
      ended.map { "the question '\(id)' is over: \($0)." }
        ?? "no question is called '\(id)'. 'exitgate pending' lists those that wait.")
  }

  /// Every line of an answer that ends with how many there were.
  private func list(_ request: ControlRequest) throws(Failure) -> [ControlReply] {
    let replies = try replies(request)
    for case .refused(let why) in replies { throw Failure(.host, "the gate refuses: \(why).") }
    guard case .listed(let count)? = replies.last, count == replies.count - 1 else {
      throw Failure(.host, "the gate's answer is cut short. Ask again.")
    }
    return replies
  }
}
