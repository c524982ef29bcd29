import Approvals
import Control
import Gateway

/// A question as it fills the terminal: what is asked, what may be answered, and the word of this run.
struct PromptView {
  /// The columns and rows of the terminal.
  var size: (columns: Int, rows: Int)
  /// What only the gate and the person know.
  var word: String
  /// How long it is still shown, in seconds.
  var rest: Int

  /// What the rows of the terminal show, over how many pages the question goes, and why nothing may be allowed on them.
  func rows(of queue: PromptQueue) -> (rows: [Text], pages: Int, obstacle: String?) {
    guard let question = queue.shown else { return ([], 1, nil) }
    let inner = max(10, size.columns - 2)
    let body = body(question, queue, width: inner).flatMap { $0.wrapped(columns: inner) }
    let keys = keys(for: queue, columns: inner).flatMap { $0.wrapped(columns: inner) }
    let below = keys + note(queue).wrapped(columns: inner)
    let left = size.rows - below.count - 2 - more(0, of: 1).wrapped(columns: inner).count
    let room = max(1, left)
    let pages = (body.count + room - 1) / room
    let page = min(queue.page, pages - 1)
    let more = (pages > 1 ? more(page, of: pages) : "").wrapped(columns: inner)
    let shown = body.dropFirst(page * room).prefix(room) + more + below
    let rows = [top(queue)] + shown.map { "│ " + $0 } + [bottom]
    return (Array(rows.prefix(size.rows)), pages, left < 1 ? Self.tooLow : obstacle(question))
  }

  private static let tooLow =
    "the window is too low to show it: make it higher, or answer by 'exitgate approve'"

  /// A name in pieces reads as another: one row shows all of it, or nothing is allowed here.
  private func obstacle(_ question: PendingQuestion) -> String? {
    let widest = PendingStatus(question).places.map {
      "│   \($0.traffic)://\($0.host):\($0.port)".unicodeScalars.count
    }.max()
    guard let widest, widest > size.columns else { return nil }
    return
      "a name does not fit in a row: widen the window to \(widest) columns, or answer by 'exitgate approve'"
  }

  private func body(_ question: PendingQuestion, _ queue: PromptQueue, width: Int) -> [Text] {
    if queue.isVeiled { return [Text("another question: press the space bar to read it", .strong)] }
    let view = PendingView(PendingStatus(question), width: width)
    return queue.isDetailed ? view.whole : view.brief
  }

  private func more(_ page: Int, of pages: Int) -> Text {
    Text("page \(page + 1) of \(pages): the space bar shows the next, b the one before", .bad)
  }

  private func top(_ queue: PromptQueue) -> Text {
    let count = queue.questions.count > 1 ? " ── 1 of \(queue.questions.count) questions" : ""
    return line("┌─ exitgate asks ── the word is \(word) ── question \(queue.number)\(count) ")
  }

  private func note(_ queue: PromptQueue) -> Text {
    if let chosen = queue.chosen {
      return Text("\(chosen.key): \(chosen.words) ", .strong)
        + Text("── press Enter, or another key to take it back", .doubtful)
    }
    return Text(queue.note ?? "", .doubtful)
  }

  private var bottom: Text { line("└─ the command's output waits ── \(rest) s ") }

  /// A line of the frame.
  private func line(_ words: String) -> Text {
    let text = Text(words, .strong).wrapped(columns: size.columns)[0]
    return text + Text(String(repeating: "─", count: max(0, size.columns - text.columns)), .strong)
  }

  /// A key and what it means stay together.
  private func keys(for queue: PromptQueue, columns: Int) -> [Text] {
    if queue.isVeiled {
      return [Text(" Space ", .reversed) + "  read it   " + Text(" Esc ", .reversed) + "  later"]
    }
    let offers = queue.shown?.offers ?? []
    let answers = PromptQueue.answers.filter { offers.contains($0.offer) }
    let words =
      answers.map { (String($0.key), $0.words) } + [
        ("d", queue.isDetailed ? "less" : "details"), ("Esc", "later"),
      ]
    return words.reduce(into: []) { lines, key in
      let next = Text(" \(key.0) ", .reversed) + Text(" \(key.1)   ")
      if let last = lines.last, last.columns + next.columns <= columns {
        lines[lines.count - 1] = last + next
      } else {
        lines.append(next)
      }
    }
  }
}
