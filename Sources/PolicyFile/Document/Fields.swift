/// The keys of one mapping, known ones only; the others have been reported.
struct Fields {
  let mark: Mark
  let scope: Scope
  private let entries: [String: Entry]

  /// Takes `node` as a mapping of `keys`; nil, after a report, when it is none.
  init?(_ node: Node, in scope: Scope, of thing: String, keys: [String], example: String) {
    guard case .mapping(let found) = node.content else {
      scope.wrongType(node, thing, example)
      return nil
    }
    var entries: [String: Entry] = [:]
    for entry in found {
      if keys.contains(entry.key) {
        entries[entry.key] = entry
      } else if !scope.sink.isFull {
        scope.error(
          entry.mark, "\(quoted(entry.key)) is not a key of \(thing)",
          "Write \(suggestion(for: entry.key, from: keys))")
      }
    }
    self.mark = node.mark
    self.scope = scope
    self.entries = entries
  }

  /// The value of `key`, if it stands there.
  subscript(key: String) -> Node? { entries[key]?.value }

  /// Where `key` stands, else where the mapping begins.
  func mark(of key: String) -> Mark { entries[key]?.mark ?? mark }

  /// Whether `key` stands there.
  func has(_ key: String) -> Bool { entries[key] != nil }

  /// The value of `key`, or nil after a report that it is missing.
  func required(_ key: String, of thing: String, example: String) -> Node? {
    if let node = self[key] { return node }
    scope.error(mark, "\(thing) has no '\(key)'", "Add '\(example)'")
    return nil
  }

  /// Text, if the key stands there and fits.
  func text(_ key: String, example: String) -> String? {
    self[key].flatMap { scope.text($0, "'\(key)'", example: example) }
  }

  /// A flag; false when the key is missing.
  func flag(_ key: String) -> Bool {
    self[key].flatMap { scope.boolean($0, "'\(key)'") } ?? false
  }
}
