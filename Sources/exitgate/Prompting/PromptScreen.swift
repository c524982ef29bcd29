/// The terminal while a question is on it. Every cell is written, so that
/// nothing of the command's is left, however it was protected from erasure.
final class PromptScreen {
  private let person: PersonTerminal
  private let modes: TerminalModes
  private var rows: [String] = []
  private var size = (columns: 0, rows: 0)

  /// - Parameter modes: What the command has made of it.
  init(_ person: PersonTerminal, under modes: TerminalModes) { (self.person, self.modes) = (person, modes) }

  /// Takes it, with a bell.
  func take() {
    person.takeKeys()
    person.write(modes.taken + "\u{7}")
  }

  /// Shows these rows; what is not other than before is not sent again.
  func draw(_ texts: [Text], size: (columns: Int, rows: Int)) {
    if size != self.size { rows = [] }
    self.size = size
    var next: [String] = [], sent = ""
    for number in 0..<size.rows {
      let text = number < texts.count ? texts[number] : Text("")
      let blank = String(repeating: " ", count: max(0, size.columns - text.columns))
      next.append((person.isColoured ? text.coloured : text.plain) + blank)
      guard number >= rows.count || rows[number] != next[number] else { continue }
      // One cell for one letter, whatever the row was before (DECSWL).
      sent += "\u{1b}[\(number + 1);1H\u{1b}#5\(next[number])"
    }
    rows = next
    person.write(sent)
  }

  /// Leaves it as it was found, where others may have drawn since.
  func leave() { person.write("\u{1b}[?1049h" + modes.erased + modes.givenBack) }

  /// Gives it back, with nothing left on the screen that was the gate's; the command's programs are told to draw anew
  /// by whoever passes its output on.
  func giveBack() {
    draw([], size: person.size)
    person.write(modes.erased + modes.givenBack)
    person.write(modes.cut)
    person.giveKeysBack()
  }
}
