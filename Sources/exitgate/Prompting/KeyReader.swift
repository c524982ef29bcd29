import EventLoop

/// What a person does while a question is shown.
enum PromptKey: Hashable, Sendable {
  /// One key alone that stands for a character, or a control character.
  case character(UInt8)
  /// Escape alone.
  case escape
  /// Page down, arrow down.
  case next
  /// Page up, arrow up.
  case previous
  /// Anything else: several keys at once, pasted text, what the terminal itself says.
  case other
}

/// Reads keys, so that only a key that a person pressed by itself is one.
///
/// A terminal answers what a command asked it, and the answer may hold bytes of
/// the command's choice (its title, say); people paste. Both come as sequences,
/// perhaps in pieces, and nothing in them is a key. Without I/O; time is an argument.
///
/// - Source: ECMA-48 §5.4, §5.6; xterm's ctlseqs, "Bracketed Paste Mode", "PC-Style Function Keys".
struct KeyReader: Sendable {
  private enum Place { case ground, escape, sequence, single, text, textEscape, paste }

  /// What has come in part is over when nothing more comes: somebody pressed Alt and a letter that begins one.
  private static let patience = Duration.seconds(1)
  private static let endOfPaste = Array("\u{1b}[201~".utf8)

  private var place = Place.ground
  private var parameters: [UInt8] = []
  private var matched = 0
  private var last = MonotonicTime(nanoseconds: 0)

  /// What one read(2) gave.
  mutating func read(_ bytes: [UInt8], at now: MonotonicTime) -> PromptKey {
    if now >= last + Self.patience { place = .ground }
    last = now
    if let only = bytes.first, bytes.count == 1 {
      // Whatever was begun: who wants to get out gets out.
      if only == 0x03 { return finish(.character(only)) }
      if place == .ground { return only == 0x1b ? .escape : .character(only) }
    }
    let isWhole = place == .ground
    for byte in bytes { take(byte) }
    guard isWhole, place == .ground else { return .other }
    switch String(decoding: bytes, as: UTF8.self) {
    case "\u{1b}[6~", "\u{1b}[B", "\u{1b}OB": return .next
    case "\u{1b}[5~", "\u{1b}[A", "\u{1b}OA": return .previous
    default: return .other
    }
  }

  private mutating func finish(_ key: PromptKey) -> PromptKey {
    place = .ground
    return key
  }

  private mutating func take(_ byte: UInt8) {
    switch place {
    case .ground: if byte == 0x1b { place = .escape }
    case .escape: begin(byte)
    case .sequence:
      if (0x40...0x7e).contains(byte) {
        let isPaste = byte == UInt8(ascii: "~") && parameters == Array("200".utf8)
        (place, matched) = (isPaste ? .paste : .ground, 0)
      } else if parameters.count < 8 {
        parameters.append(byte)
      }
    case .single: place = .ground
    case .text: if byte == 0x07 { place = .ground } else if byte == 0x1b { place = .textEscape }
    case .textEscape: place = byte == UInt8(ascii: "\\") ? .ground : .text
    case .paste:
      matched = byte == Self.endOfPaste[matched] ? matched + 1 : byte == 0x1b ? 1 : 0
      if matched == Self.endOfPaste.count { place = .ground }
    }
  }

  private mutating func begin(_ byte: UInt8) {
    parameters.removeAll()
    switch byte {
    case UInt8(ascii: "["): place = .sequence
    case UInt8(ascii: "]"), UInt8(ascii: "P"), UInt8(ascii: "X"), UInt8(ascii: "^"), UInt8(ascii: "_"):
      place = .text
    case UInt8(ascii: "O"): place = .single
    case 0x1b: place = .escape
    default: place = .ground
    }
  }
}
