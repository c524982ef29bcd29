/// Puts the events of one file together to a tree, and refuses what a policy
/// has no use for: anchors, aliases, tags, directives, a second document.
struct Composer {
  /// How deep lists and mappings may stand in each other.
  static let depthLimit = 32
  /// In bytes; ten thousand rules fit.
  static let sizeLimit = 1 << 20

  let file: String
  let sink: DiagnosticSink
  /// Whether keys may be shown; until a file is known to be a policy they may not.
  var showsKeys = true

  /// Reads `bytes`.
  ///
  /// - Returns: nil when the file cannot be read as one YAML document; the sink then says why.
  func compose(_ bytes: [UInt8]) -> Node? {
    guard checkBytes(bytes) else { return nil }
    do {
      return try EventStream.withEvents(of: bytes) { events throws(YAMLSyntaxError) in
        var reading = Reading(composer: self, events: events)
        return try reading.document()
      }
    } catch {
      report(
        error.mark, "this is not YAML: \(error.problem)",
        error.isAlias
          ? "Put host patterns in quotes, as in \"*.example.com\""
          : "Check the quotes, the brackets and the indentation here and on the line above")
      return nil
    }
  }

  func report(_ mark: Mark, _ cause: String, _ remedy: String) {
    sink.add(Diagnostic(file: file, line: mark.line, column: mark.column, cause: cause, remedy: remedy))
  }

  /// Size, byte order mark, UTF-8, and the control characters that YAML bans:
  /// libyaml would name no line for them.
  private func checkBytes(_ bytes: [UInt8]) -> Bool {
    guard bytes.count <= Self.sizeLimit else {
      report(.start, "the file is larger than 1 MiB", "Split it and name the parts under 'include'")
      return false
    }
    if bytes.starts(with: [0xef, 0xbb, 0xbf]) || bytes.starts(with: [0xff, 0xfe])
      || bytes.starts(with: [0xfe, 0xff])
    {
      report(.start, "the file begins with a byte order mark", "Save it as UTF-8 without one")
      return false
    }
    guard String(validating: bytes, as: UTF8.self) != nil else {
      report(
        place(of: firstBadUTF8(in: bytes), in: bytes), "this byte is not UTF-8", "Save the file as UTF-8")
      return false
    }
    if let index = bytes.firstIndex(where: isForbiddenControl) {
      report(
        place(of: index, in: bytes), "a control character (byte \(bytes[index])) stands here", "Remove it")
      return false
    }
    return true
  }
}

/// YAML 1.2.2 §5.1: of the C0 controls only tab, line feed and carriage return are printable.
private func isForbiddenControl(_ byte: UInt8) -> Bool {
  byte < 0x20 ? ![0x09, 0x0a, 0x0d].contains(byte) : byte == 0x7f
}

private func firstBadUTF8(in bytes: [UInt8]) -> Int {
  var decoder = UTF8(), iterator = bytes.makeIterator(), consumed = 0
  while case .scalarValue(let scalar) = decoder.decode(&iterator) {
    consumed += UTF8.width(scalar)
  }
  return min(consumed, bytes.count)
}

private func place(of index: Int, in bytes: [UInt8]) -> Mark {
  let before = bytes[..<index]
  let line = before.count { $0 == UInt8(ascii: "\n") }
  let start = before.lastIndex(of: UInt8(ascii: "\n")).map { $0 + 1 } ?? 0
  return Mark(
    line: line + 1, column: String(decoding: bytes[start..<index], as: UTF8.self).unicodeScalars.count + 1)
}

/// One pass over the events.
private struct Reading {
  let composer: Composer
  let events: EventStream
  /// Something was refused that the tree cannot show; the tree would mislead.
  private var isBroken = false
  private var depth = 0

  init(composer: Composer, events: EventStream) {
    self.composer = composer
    self.events = events
  }

  mutating func document() throws(YAMLSyntaxError) -> Node? {
    _ = try events.next()
    let head = try events.next()
    guard case .documentStart(let hasDirectives) = head.kind else {
      composer.report(.start, "the file is empty", "A policy begins with 'version: 1'")
      return nil
    }
    if hasDirectives {
      refuse(head.mark, "a YAML directive stands here", "Remove the line that begins with '%'")
    }
    let root = try node(try events.next())
    guard root != nil else { return nil }
    _ = try events.next()
    let end = try events.next()
    if case .documentStart = end.kind {
      refuse(
        end.mark, "a second document begins here", "Keep one document in a file; name others under 'include'")
    }
    return isBroken ? nil : root
  }

  private mutating func refuse(_ mark: Mark, _ cause: String, _ remedy: String) {
    isBroken = true
    composer.report(mark, cause, remedy)
  }

  /// The value that begins with `event`; nil when it nests too deep.
  private mutating func node(_ event: YAMLEvent) throws(YAMLSyntaxError) -> Node? {
    if event.hasAnchor {
      refuse(event.mark, "an anchor (&) stands here", "Write the value out where it is used")
    }
    if event.hasTag { refuse(event.mark, "a tag (!) stands here", "Remove it; policies have no tags") }
    switch event.kind {
    case .scalar(let text, let isPlain):
      return Node(mark: event.mark, content: .scalar(text: text, isPlain: isPlain))
    case .alias:
      refuse(event.mark, "an alias (*) stands here", "Write the value out, and put host patterns in quotes")
      return Node(mark: event.mark, content: .scalar(text: "", isPlain: true))
    case .sequenceStart:
      return try nested(event.mark) { reading throws(YAMLSyntaxError) in try reading.sequence() }
    case .mappingStart:
      return try nested(event.mark) { reading throws(YAMLSyntaxError) in try reading.mapping() }
    default: return nil
    }
  }

  private mutating func nested(
    _ mark: Mark, _ body: (inout Reading) throws(YAMLSyntaxError) -> Node.Content?
  ) throws(YAMLSyntaxError) -> Node? {
    guard depth < Composer.depthLimit else {
      refuse(mark, "lists and mappings nest deeper than \(Composer.depthLimit)", "Policies need four levels")
      return nil
    }
    depth += 1
    defer { depth -= 1 }
    return try body(&self).map { Node(mark: mark, content: $0) }
  }

  private mutating func sequence() throws(YAMLSyntaxError) -> Node.Content? {
    var items: [Node] = []
    while true {
      let event = try events.next()
      if case .sequenceEnd = event.kind { return .sequence(items) }
      guard let item = try node(event) else { return nil }
      items.append(item)
    }
  }

  private mutating func mapping() throws(YAMLSyntaxError) -> Node.Content? {
    var entries: [Entry] = [], firstLines: [String: Int] = [:]
    while true {
      let event = try events.next()
      if case .mappingEnd = event.kind { return .mapping(entries) }
      guard let key = try node(event), let value = try node(try events.next()) else { return nil }
      guard case .scalar(let text, _) = key.content else {
        refuse(key.mark, "a list or a mapping stands where a key belongs", "Write a word followed by ':'")
        continue
      }
      if let line = firstLines[text] {
        let name = composer.showsKeys ? "the key \(quoted(text))" : "this key"
        composer.report(
          key.mark, "\(name) stands here a second time, after line \(line)", "Keep one of the two")
        continue
      }
      firstLines[text] = key.mark.line
      entries.append(Entry(key: text, mark: key.mark, value: value))
    }
  }
}
