/// What diagnostics do not show of an included file.
///
/// An include can name any file that the gate may read, and its errors reach
/// the audit log and whoever asked for the reload. So an included file is shown
/// only as far as a slip needs it: words as policies are made of.
struct Veil {
  /// The texts that are not such words, by the place of each.
  private var texts: [Mark: String] = [:]

  /// Shows everything: for the policy that was asked for.
  static let none = Veil()

  /// In bytes; an id has at most 128, a name that is typed by hand fewer.
  static let wordLimit = 64

  private init() {}

  /// Covers what is no word in the tree of an included file.
  init(over root: Node) {
    add(root)
  }

  private mutating func add(_ node: Node) {
    switch node.content {
    case .scalar(let text, _): add(text, at: node.mark)
    case .sequence(let items): for item in items { add(item) }
    case .mapping(let entries):
      for entry in entries {
        add(entry.key, at: entry.mark)
        add(entry.value)
      }
    }
  }

  private mutating func add(_ text: String, at mark: Mark) {
    if !isWord(text) { texts[mark] = text }
  }

  /// Whether what stands at `mark` is not to be shown.
  func isDrawn(at mark: Mark) -> Bool { texts[mark] != nil }

  /// The sentence, with a text that stands at `mark` and is no word left out.
  func cover(_ sentence: String, at mark: Mark) -> String {
    guard let text = texts[mark] else { return sentence }
    return sentence.replacing(quoted(text), with: "'…'")
  }
}

/// `[A-Za-z0-9_.:/*-]`, at most 64 bytes.
private func isWord(_ text: String) -> Bool {
  text.utf8.count <= Veil.wordLimit
    && text.utf8.allSatisfy { byte in
      switch byte {
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"): true
      case UInt8(ascii: "-")...UInt8(ascii: ":"), UInt8(ascii: "_"), UInt8(ascii: "*"): true
      default: false
      }
    }
}
