import EventLoop
import Testing

@testable import exitgate

@Suite("What a command has made of the terminal, and how it is taken and given back")
struct TerminalModesTests {
  static func after(_ text: String) -> TerminalModes {
    var whole = TerminalModes()
    whole.feed(Array(text.utf8))
    // However it comes in pieces.
    var pieces = TerminalModes()
    for byte in text.utf8 { pieces.feed([byte]) }
    #expect(whole.givenBack == pieces.givenBack && whole.taken == pieces.taken && whole.cut == pieces.cut)
    return whole
  }

  struct Case: Sendable, CustomTestStringConvertible {
    var sent: String, back: [String], because: String
    var testDescription: String { because }
  }

  static let cases = [
    Case(
      sent: "\u{1b}[?2004h\u{1b}[?1;1006h", back: ["[?2004h", "[?1h", "[?1006h"],
      because: "modes that are set"),
    Case(sent: "\u{1b}[?25l\u{1b}[?7l", back: ["[?25l", "[?7l"], because: "modes that are on at first"),
    Case(sent: "\u{1b}[?25l\u{1b}[?25h", back: ["[?25h"], because: "the last counts"),
    Case(sent: "\u{11b}?1003h", back: ["[?1003l"], because: "a letter whose second byte looks like C1"),
    Case(sent: "\u{9b}?1003h", back: ["[?1003h"], because: "C1 as a terminal of UTF-8 reads it"),
    Case(
      sent: "\u{1b}[5;20r", back: ["[?1049l\u{1b}[5;20r\u{1b}8"],
      because: "a region, and the cursor that it moves"),
    Case(
      sent: "\u{1b}[5;20r\u{1b}[r", back: ["[?1049l\u{1b}[?1l"], because: "a region that is none any more"),
    Case(sent: "\u{1b}[?1049h", back: ["[?1049l\u{1b}[?1049h"], because: "the other screen"),
    Case(sent: "\u{1b}[?47h", back: ["[?1049l\u{1b}[?47h"], because: "the other screen by its older name"),
    Case(
      sent: "\u{1b}[?1049h\u{1b}[5;20r\u{1b}c", back: ["[?1049l\u{1b}[?1l"],
      because: "all is as at first (RIS)"),
    Case(
      sent: "\u{1b}[4h\u{1b}=\u{1b}[20h", back: ["[4h", "\u{1b}=", "[20h"],
      because: "inserting, the keypad, new lines"),
    Case(sent: "\u{1b}[4h\u{1b}=\u{1b}[!p", back: ["[?2048l"], because: "a soft reset (DECSTR)"),
    Case(
      sent: "\u{1b}[>5u\u{1b}[>1u\u{1b}[<u\u{1b}[>4;2m", back: ["[=5u", "[>4;2m"],
      because: "keyboards that say more"),
    Case(sent: "\u{1b}[?10\u{18}49h", back: ["[?1049l\u{1b}[?1l"], because: "what is cancelled is nothing"),
    Case(sent: "\u{1b}]0;\u{1b}[?1049h", back: ["[?1049l\u{1b}[?1049h"], because: "a sequence ends a string"),
    Case(
      sent: "\u{1b}[" + String(repeating: "1;", count: 100) + "?25l", back: ["[?25h"],
      because: "longer than any is"),
  ]
  @Test("what the command set is set again", arguments: cases)
  func givenBack(_ c: Case) {
    let back = Self.after(c.sent).givenBack
    for piece in c.back { #expect(back.contains(piece), "\(back.debugDescription)") }
  }

  @Test("CTL-08: whatever it was, nothing is left in force that could hide, move or colour what is drawn")
  func taken() {
    for sent in Self.cases.map(\.sent) + ["\u{1b}]2;", "\u{1b}P", "\u{1b}["] {
      let text = Self.after(sent).taken
      for piece in [
        "\u{18}\u{1b}\\", "\u{1b}[?1049h", "\u{1b}[?38l", "\u{1b}[?9001l", "\u{1b} F",
        "\u{f}\u{1b}(B\u{1b})B", "\u{1b}[0m", "\u{1b}[2l", "\u{1b}[4l",
        "\u{1b}[?5l",
        "\u{1b}[?6l", "\u{1b}[?69l", "\u{1b}[?1003l", "\u{1b}[?2026l", "\u{1b}[r", "\u{1b}[?2004h",
      ] { #expect(text.contains(piece)) }
      // First of all out of Tektronix's mode, which knows none of these.
      #expect(text.hasPrefix("\u{1b}\u{3}\u{18}\u{1b}\\") && text.hasSuffix("\u{1b}[2J"))
    }
    #expect(Self.after("\u{1b}[?1047h").taken.contains("\u{1b} F\u{1b}[?1047l\u{1b}[?1049h"), "a fresh one")
  }

  @Test(
    "CTL-08: colours of its own are taken away, for text in the colour of the ground is none",
    arguments: [
      ("\u{1b}]11;#000000\u{7}", true), ("\u{1b}]4;7;#000\u{1b}\\", true), ("\u{9d}10;#000\u{7}", true),
      ("\u{1b}]P7000000", true), ("\u{1b}]P7000000text\u{1b}[0m", true), ("\u{1b}[30;40m\u{1b}[8]", true),
      ("\u{1b}]21;foreground=#000\u{1b}\\", true), ("\u{1b}]1337;SetColors=fg=000\u{7}", true),
      ("\u{1b}]11;#000", true),
      ("\u{1b}]7;file:///x\u{7}\u{1b}]8;;http://x\u{7}\u{1b}]133;A\u{7}\u{1b}]52;c;eA==\u{7}", false),
      ("\u{1b}]11;?\u{7}", false), ("\u{1b}]0;4;7\u{7}", false), ("\u{1b}[31m", false),
    ])
  func colours(_ sent: String, _ changed: Bool) {
    let taken = Self.after(sent).taken
    for reset in [
      "]R\u{1b}\\", "]104\u{1b}\\", "]110\u{1b}\\", "]111\u{1b}\\", "]21;foreground;", "[37;40m\u{1b}[8]",
    ] {
      #expect(taken.contains("\u{1b}\(reset)") == changed, "\(reset.debugDescription)")
    }
  }

  @Test("what was cut in the middle is sent again, within bounds")
  func cut() {
    #expect(Self.after("text\u{1b}[38;2").cut == Array("\u{1b}[38;2".utf8))
    #expect(Self.after("text\u{1b}[38;2m").cut.isEmpty)
    #expect(Self.after("\u{1b}]0;half a tit").cut == Array("\u{1b}]0;half a tit".utf8))
    var modes = TerminalModes()
    modes.feed([0x61, 0xe2, 0x94])
    #expect(modes.cut == [0xe2, 0x94])
    modes.feed([0x8c])
    #expect(modes.cut.isEmpty)
    modes.feed(Array("\u{1b}]0;".utf8) + [UInt8](repeating: 0x61, count: 1 << 20))
    #expect(modes.cut.isEmpty && modes.unfinished.count <= 4096, "what is longer is lost")
    modes.feed([7])
    #expect(modes.unfinished.isEmpty)
  }

  @Test("any bytes at all are taken, and cost no more than is said")
  func garbage() {
    var generator = SystemRandomNumberGenerator()
    let letters = Array("\u{1b}[]P?;0123456789hlrump!<>=c\u{7}\u{18}".utf8) + [0xc2, 0x9b, 0x9d, 0xff, 0xe2]
    for _ in 0..<200 {
      var modes = TerminalModes()
      modes.feed((0..<500).compactMap { _ in letters.randomElement(using: &generator) })
      #expect(modes.unfinished.count <= 4096 && modes.keyboard.count <= 16)
      #expect(modes.givenBack.utf8.count < 1000 && modes.taken.utf8.count < 1000)
    }
  }
}

@Suite("What is a key, and what only looks like one")
struct KeyReaderTests {
  struct Case: Sendable, CustomTestStringConvertible {
    var reads: [String], keys: [PromptKey], because: String
    var testDescription: String { because }
  }

  static let o = PromptKey.character(UInt8(ascii: "o"))
  static let cases = [
    Case(reads: ["o"], keys: [o], because: "one alone"),
    Case(reads: ["oo"], keys: [.other], because: "two at once"),
    Case(reads: ["\u{1b}", "o"], keys: [.escape, o], because: "Escape, then one"),
    Case(reads: ["\u{1b}[6~", "\u{1b}[A"], keys: [.next, .previous], because: "keys that turn pages"),
    Case(reads: ["\u{1b}[200~o\u{1b}[201~", "o"], keys: [.other, o], because: "pasted, then pressed"),
    Case(
      reads: ["\u{1b}[200~", "o", "\u{1b}", "[20", "o", "\u{1b}[201~", "o"],
      keys: [.other, .other, .other, .other, .other, .other, o], because: "pasted in pieces"),
    Case(
      reads: ["\u{1b}[200~", "o", "\u{3}", "o"], keys: [.other, .other, .character(3), o],
      because: "an interrupt gets out of pasted text too"),
    Case(
      reads: ["\u{1b}]l", "o", "\u{1b}", "\\", "o"], keys: [.other, .other, .other, .other, o],
      because: "CTL-08: what the terminal says of its title, in pieces"),
    Case(
      reads: ["\u{1b}[1", "o", "o"], keys: [.other, .other, o], because: "a sequence that a letter ends"),
    Case(
      reads: ["\u{1b}P1", "\u{3}", "o"], keys: [.other, .character(3), o],
      because: "an interrupt gets out of anything"),
    Case(reads: ["\u{1b}o"], keys: [.other], because: "a letter with Alt"),
  ]
  @Test(arguments: cases)
  func keys(_ c: Case) {
    var reader = KeyReader()
    let now = MonotonicTime(nanoseconds: 5_000_000_000)
    #expect(c.reads.map { reader.read(Array($0.utf8), at: now) } == c.keys)
  }

  @Test(
    "what begins and does not go on is over after a second",
    arguments: ["\u{1b}]", "\u{1b}P", "\u{1b}[", "\u{1b}[200~", "\u{1b}O"])
  func unfinished(_ begun: String) {
    var reader = KeyReader()
    let now = MonotonicTime(nanoseconds: 5_000_000_000)
    #expect(reader.read(Array(begun.utf8), at: now) == .other)
    #expect(reader.read(Array("1".utf8), at: now + .milliseconds(999)) == .other)
    #expect(reader.read(Array("o".utf8), at: now + .milliseconds(1999)) == Self.o)
  }
}
