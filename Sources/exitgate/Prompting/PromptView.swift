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

  /// What the rows of the terminal show, and over how many pages the question goes.
  func rows(of queue: PromptQueue) -> (rows: [Text], pages: Int) {
    guard let question = queue.shown else { return ([], 1) }
    let inner = max(10, size.columns - 2)
    let view = PendingView(PendingStatus(question), width: inner)
    let body = (queue.isDetailed ? view.whole : view.brief).flatMap { $0.wrapped(columns: inner) }
    let keys = keys(for: queue, columns: inner).flatMap { $0.wrapped(columns: inner) }
    let below = keys + note(queue.note).wrapped(columns: inner)
    let room = max(1, size.rows - below.count - 2 - more(0, of: 1).wrapped(columns: inner).count)
    let pages = (body.count + room - 1) / room
    let page = min(queue.page, pages - 1)
    let more = (pages > 1 ? more(page, of: pages) : "").wrapped(columns: inner)
    let shown = body.dropFirst(page * room).prefix(room) + more + below
    let rows = [top(queue)] + shown.map { "│ " + $0 } + [bottom]
    return (Array(rows.prefix(size.rows)), pages)
  }

  private func more(_ page: Int, of pages: Int) -> Text {
    Text("page \(page + 1) of \(pages): the space bar shows the next, b the one before", .bad)
  }

  private func top(_ queue: PromptQueue) -> Text {
    let count = queue.questions.count > 1 ? "  ── 1 of \(queue.questions.count) questions" : ""
    return line("┌─ exitgate asks ── the word is \(word)\(count) ")
  }

  private func note(_ note: String?) -> Text { Text(note ?? "", .doubtful) }

  private var bottom: Text { line("└─ the command's output waits ── \(rest) s ") }

  /// A line of the frame.
  private func line(_ words: String) -> Text {
    let text = Text(words, .strong).wrapped(columns: size.columns)[0]
    return text + Text(String(repeating: "─", count: max(0, size.columns - text.columns)), .strong)
  }

  /// A key and what it means stay together.
  private func keys(for queue: PromptQueue, columns: Int) -> [Text] {
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
