/// What a command has made of the terminal that its output goes to: enough to
/// draw something else in between and to leave the terminal as the command
/// believes it to be.
///
/// It is fed with every byte that is passed on, and its size is fixed whatever
/// comes. What it does not know of, some terminal's own extension, is not put
/// back; that what is drawn is seen does not rest on what it knows.
///
/// - Source: ECMA-48 §5.4 (control sequences), §8.3; xterm's ctlseqs for private modes.
struct TerminalModes: Sendable {
  private enum Place { case ground, rune, escape, intermediate, sequence, text, textEscape }

  /// Private modes that are put back, each with what it is at first (xterm's ctlseqs, DECSET).
  static let usual: [Int: Bool] = [
    1: false, 5: false, 6: false, 7: true, 9: false, 25: true, 69: false, 1000: false, 1001: false,
    1002: false, 1003: false, 1004: false, 1005: false, 1006: false, 1015: false, 1016: false, 2004: false,
    2026: false, 2031: false, 2048: false, 9001: false,
  ]
  /// In bytes; a sequence that is longer says nothing that is put back.
  private static let longest = 64
  /// In bytes; what is cut in the middle is sent again up to here.
  private static let longestCut = 4096

  private var place = Place.ground
  private var parameters: [UInt8] = []
  private var runeLeft = 0
  private var lead: UInt8 = 0
  /// Sent since the last whole character or sequence.
  private(set) var unfinished: [UInt8] = []
  private var isCutWhole = true

  /// Private modes that are not what they are at first.
  private(set) var changed: [Int: Bool] = [:]
  /// IRM, which the command may have set.
  private(set) var inserts = false
  /// LNM.
  private(set) var breaksLines = false
  /// DECKPAM.
  private(set) var hasKeypad = false
  /// The private mode by which the command is on the terminal's other screen.
  private(set) var alternate: Int?
  /// DECSTBM's parameters.
  private(set) var region: [UInt8] = []
  /// What xterm calls modifyOtherKeys; nil where nobody spoke of it.
  private(set) var otherKeys: Int?
  /// Flags of kitty's keyboard protocol, the last in force; empty where nobody spoke of it.
  private(set) var keyboard: [Int] = []
  /// Operating system commands that change no colour: titles, directories, links, the clipboard, marks of prompts.
  private static let colourless: Set<Int> = [0, 1, 2, 7, 8, 52, 133]

  /// Whether the palette or the colours that are usual may have been changed, by whatever terminal's own way.
  private(set) var hasColours = false

  /// Takes what the terminal is sent.
  mutating func feed(_ bytes: [UInt8]) {
    for byte in bytes {
      if place == .ground, (0x20..<0x7f).contains(byte) { continue }
      take(byte)
      if place == .ground {
        if !unfinished.isEmpty { unfinished.removeAll(keepingCapacity: true) }
        isCutWhole = true
      } else if unfinished.count < Self.longestCut {
        unfinished.append(byte)
      } else {
        isCutWhole = false
      }
    }
  }

  /// What was sent of a character or sequence that is not whole yet.
  var cut: [UInt8] { isCutWhole ? unfinished : [] }

  private mutating func take(_ byte: UInt8) {
    switch place {
    case .ground: begin(byte)
    case .rune: takeRune(byte)
    case .escape: takeEscape(byte)
    case .intermediate:
      if !(0x20...0x2f).contains(byte) { place = byte == 0x1b ? .escape : .ground }
    case .sequence: takeSequence(byte)
    case .text: takeText(byte)
    case .textEscape:
      endText()
      if byte == UInt8(ascii: "\\") { place = .ground } else { takeEscape(byte) }
    }
  }

  private mutating func begin(_ byte: UInt8) {
    switch byte {
    case 0x1b: place = .escape
    case 0x80...0x9f: takeControl(byte)
    case 0xc2...0xdf: (place, runeLeft, lead) = (.rune, 1, byte)
    case 0xe0...0xef: (place, runeLeft, lead) = (.rune, 2, byte)
    case 0xf0...0xf4: (place, runeLeft, lead) = (.rune, 3, byte)
    default: place = .ground
    }
  }

  private mutating func takeRune(_ byte: UInt8) {
    guard (0x80...0xbf).contains(byte) else { return begin(byte) }
    // C1 as a terminal of UTF-8 reads it.
    if lead == 0xc2, byte < 0xa0 { return takeControl(byte) }
    lead = 0
    runeLeft -= 1
    if runeLeft == 0 { place = .ground }
  }

  /// A C1 control, which is ESC and a letter in one byte.
  private mutating func takeControl(_ byte: UInt8) { takeEscape(byte - 0x40) }

  private mutating func takeEscape(_ byte: UInt8) {
    parameters.removeAll(keepingCapacity: true)
    switch byte {
    case UInt8(ascii: "["): place = .sequence
    case UInt8(ascii: "]"), UInt8(ascii: "P"), UInt8(ascii: "X"), UInt8(ascii: "^"), UInt8(ascii: "_"):
      parameters.append(byte)
      place = .text
    case 0x20...0x2f: place = .intermediate
    case 0x1b: place = .escape
    default:
      if byte == UInt8(ascii: "c") { startAnew() }
      if byte == UInt8(ascii: "=") { hasKeypad = true }
      if byte == UInt8(ascii: ">") { hasKeypad = false }
      place = .ground
    }
  }

  private mutating func takeSequence(_ byte: UInt8) {
    switch byte {
    case 0x20...0x3f: if parameters.count <= Self.longest { parameters.append(byte) }
    case 0x40...0x7e:
      place = .ground
      if parameters.count <= Self.longest { apply(byte) }
    case 0x1b: place = .escape
    case 0x18, 0x1a: place = .ground
    default: return
    }
  }

  private mutating func takeText(_ byte: UInt8) {
    switch byte {
    case 0x1b: place = .textEscape
    case 0x07:
      endText()
      place = .ground
    case 0x18, 0x1a:
      endText()
      place = .ground
    default: if parameters.count <= Self.longest { parameters.append(byte) }
    }
  }

  /// Any that is not known to leave colours alone, and asks for none (OSC 10 to 19). One that names no number may
  /// have ended already (`ESC ] P` on the console of Linux).
  private mutating func endText() {
    guard parameters.first == UInt8(ascii: "]") else { return }
    let parts = parameters.dropFirst().split(
      separator: UInt8(ascii: ";"), maxSplits: 1, omittingEmptySubsequences: false)
    guard let first = parts.first, let number = Self.number(first) else {
      hasColours = true
      return
    }
    let isQuestion = parts.count == 2 && parts[1].elementsEqual([UInt8(ascii: "?")])
    if !Self.colourless.contains(number), !((10...19).contains(number) && isQuestion) { hasColours = true }
  }

  private mutating func apply(_ final: UInt8) {
    let prefix = parameters.first.flatMap { (0x3c...0x3f).contains($0) ? $0 : nil }
    let isPlain = prefix == nil && parameters.allSatisfy { (0x30...0x3b).contains($0) }
    switch (final, prefix) {
    case (UInt8(ascii: "h"), UInt8(ascii: "?")): numbers.forEach { setPrivate($0, true) }
    case (UInt8(ascii: "l"), UInt8(ascii: "?")): numbers.forEach { setPrivate($0, false) }
    case (UInt8(ascii: "h"), nil): numbers.forEach { set($0, true) }
    case (UInt8(ascii: "l"), nil): numbers.forEach { set($0, false) }
    case (UInt8(ascii: "r"), nil): if isPlain { region = parameters }
    case (UInt8(ascii: "p"), nil): if parameters == [UInt8(ascii: "!")] { startSoftly() }
    // The console of Linux: what is usual, the colours of underlining and of dim text.
    case (UInt8(ascii: "]"), _): hasColours = true
    case (UInt8(ascii: "u"), _?): setKeyboard(prefix)
    case (UInt8(ascii: "m"), UInt8(ascii: ">")):
      if numbers.first == 4 { otherKeys = numbers.count > 1 ? numbers[1] : 0 }
    default: return
    }
  }

  private var numbers: [Int] {
    parameters.drop { !(0x30...0x3b).contains($0) }.split(separator: UInt8(ascii: ";")).compactMap(
      Self.number)
  }

  private static func number(_ digits: ArraySlice<UInt8>) -> Int? {
    guard (1...5).contains(digits.count), digits.allSatisfy({ (0x30...0x39).contains($0) }) else {
      return nil
    }
    return digits.reduce(0) { $0 * 10 + Int($1 - 0x30) }
  }

  private mutating func setPrivate(_ mode: Int, _ isOn: Bool) {
    if [47, 1047, 1049].contains(mode) { alternate = isOn ? mode : nil }
    guard let usual = Self.usual[mode] else { return }
    changed[mode] = isOn == usual ? nil : isOn
  }

  private mutating func set(_ mode: Int, _ isOn: Bool) {
    if mode == 4 { inserts = isOn }
    if mode == 20 { breaksLines = isOn }
  }

  private mutating func setKeyboard(_ prefix: UInt8?) {
    let flags = numbers.first ?? 0
    switch prefix {
    case UInt8(ascii: ">"):
      if keyboard.count == 16 { keyboard.removeFirst() }
      keyboard.append(flags)
    case UInt8(ascii: "<"): keyboard.removeLast(min(max(1, flags), keyboard.count))
    case UInt8(ascii: "="): keyboard = keyboard.dropLast() + [flags]
    default: return
    }
  }

  /// DECSTR.
  private mutating func startSoftly() {
    for mode in [1, 6, 7, 25, 69] { changed[mode] = nil }
    (inserts, hasKeypad, region) = (false, false, [])
  }

  /// RIS.
  private mutating func startAnew() {
    startSoftly()
    changed.removeAll()
    (breaksLines, alternate, otherKeys) = (false, nil, nil)
    keyboard.removeAll()
  }
}

// MARK: - Another's turn

extension TerminalModes {
  /// Ends whatever the command has begun and gives a screen of its own on which
  /// nothing is in force that could hide, move or colour what is drawn, with
  /// pasted text marked as such.
  var taken: String {
    let leave = alternate.map { "\u{1b}[?\($0)l" } ?? ""
    // Out of Tektronix's mode (ESC ETX), which knows none of the rest; out of whatever was begun.
    let out = "\u{1b}\u{3}\u{18}\u{1b}\\\u{1b}<\u{1b}[?38l\u{1b} F"
    // The other screen first: with it the terminal keeps the cursor, its colours and its letters.
    let screen = out + leave + "\u{1b}[?1049h\u{1b}[22;0t\u{1b}]0;exitgate asks\u{1b}\\"
    let letters = "\u{f}\u{1b}(B\u{1b})B\u{1b}%G\u{1b}W\u{1b}[0m\u{1b}[2l\u{1b}[4l\u{1b}[20l\u{1b}[12h"
    let off = Self.usual.keys.filter { $0 != 2004 }.sorted().map { "\u{1b}[?\($0)l" }.joined()
    let keys = "\u{1b}>\u{1b}[=0u\u{1b}[>4;0m\u{1b}[?2004h"
    return screen + letters + off + "\u{1b}[r" + keys + colours + "\u{1b}[2J"
  }

  /// Takes away what the command may have made of colours: xterm's, kitty's, and those of the console of Linux, whose
  /// `CSI 8 ]` makes usual what is in force. Empty where it did nothing that could.
  ///
  /// - Source: xterm's ctlseqs (OSC 104 to 112); kitty's "color stack and control" (OSC 21); console_codes(4).
  private var colours: String {
    guard hasColours || place == .text || place == .textEscape else { return "" }
    let resets = ["104", "110", "111", "112", "21;foreground;background;cursor"]
    return "\u{1b}]R\u{1b}\\" + resets.map { "\u{1b}]\($0)\u{1b}\\" }.joined()
      + "\u{1b}[37;40m\u{1b}[8]\u{1b}[1;15]\u{1b}[2;7]\u{1b}[39;49m"
  }

  /// Leaves nothing of what was drawn on the other screen, which any command may show again. The lines that a
  /// terminal keeps (ED 3) are the person's own: nothing that was drawn has scrolled there.
  var erased: String { "\u{1b}[0m\u{1b}[r\u{1b}[2J\u{1b}[H" }

  /// Gives the terminal back as the command left it, all but colours of its own. What is cut is sent by whoever sends this.
  var givenBack: String {
    var text = "\u{1b}[0m\u{1b}[23;0t\u{1b}[?1049l" + (alternate.map { "\u{1b}[?\($0)h" } ?? "")
    if !region.isEmpty { text += "\u{1b}[\(String(decoding: region, as: UTF8.self))r" }
    if changed[6] == true { text += "\u{1b}[?6h" }
    // Both have moved the cursor.
    if alternate == nil, !region.isEmpty || changed[6] == true { text += "\u{1b}8" }
    for (mode, usual) in Self.usual.sorted(by: { $0.key < $1.key }) where mode != 6 {
      text += "\u{1b}[?\(mode)\(changed[mode] ?? usual ? "h" : "l")"
    }
    if inserts { text += "\u{1b}[4h" }
    if breaksLines { text += "\u{1b}[20h" }
    if hasKeypad { text += "\u{1b}=" }
    if let flags = keyboard.last { text += "\u{1b}[=\(flags)u" }
    if let otherKeys { text += "\u{1b}[>4;\(otherKeys)m" }
    return text
  }
}
