import CYAML

/// What libyaml found, and where.
struct YAMLEvent {
  enum Kind {
    case streamStart, streamEnd, documentEnd, alias
    case documentStart(hasDirectives: Bool)
    case scalar(text: String, isPlain: Bool)
    case sequenceStart, sequenceEnd, mappingStart, mappingEnd
  }

  var kind: Kind
  var mark: Mark
  var hasAnchor = false
  var hasTag = false
}

/// What libyaml could not read.
struct YAMLSyntaxError: Error {
  var mark: Mark
  var problem: String
  /// Whether a `*` was taken for an alias.
  var isAlias = false
}

/// The events of one file, from libyaml.
///
/// The bytes and the parser must outlive the stream; `withEvents` sees to both.
struct EventStream {
  private let parser: UnsafeMutablePointer<yaml_parser_t>

  /// Runs `body` with the events of `bytes`, which are read as UTF-8 whatever they begin with.
  static func withEvents<Result>(
    of bytes: [UInt8], _ body: (EventStream) throws(YAMLSyntaxError) -> Result
  ) throws(YAMLSyntaxError) -> Result {
    let parser = UnsafeMutablePointer<yaml_parser_t>.allocate(capacity: 1)
    defer { parser.deallocate() }
    guard yaml_parser_initialize(parser) == 1 else {
      throw YAMLSyntaxError(mark: .start, problem: "out of memory")
    }
    defer { yaml_parser_delete(parser) }
    yaml_parser_set_encoding(parser, YAML_UTF8_ENCODING)
    let input = UnsafeMutableBufferPointer<UInt8>.allocate(capacity: bytes.count)
    defer { input.deallocate() }
    _ = input.initialize(from: bytes)
    yaml_parser_set_input_string(parser, input.baseAddress, input.count)
    return try body(EventStream(parser: parser))
  }

  /// The next event.
  func next() throws(YAMLSyntaxError) -> YAMLEvent {
    var event = yaml_event_t()
    guard yaml_parser_parse(parser, &event) == 1 else { throw syntaxError() }
    defer { yaml_event_delete(&event) }
    guard let read = convert(event) else {
      throw YAMLSyntaxError(mark: mark(event.start_mark), problem: "the file ends in the middle of a value")
    }
    return read
  }

  private func syntaxError() -> YAMLSyntaxError {
    let problem = parser.pointee.problem.map { String(cString: $0) } ?? "unreadable"
    let context = parser.pointee.context.map { String(cString: $0) + ", " } ?? ""
    return YAMLSyntaxError(
      mark: mark(parser.pointee.problem_mark), problem: context + problem,
      isAlias: context == "while scanning an alias, ")
  }
}

private func mark(_ mark: yaml_mark_t) -> Mark {
  Mark(line: Int(clamping: mark.line) &+ 1, column: Int(clamping: mark.column) &+ 1)
}

private func convert(_ event: yaml_event_t) -> YAMLEvent? {
  let start = mark(event.start_mark)
  switch event.type {
  case YAML_STREAM_START_EVENT: return YAMLEvent(kind: .streamStart, mark: start)
  case YAML_STREAM_END_EVENT: return YAMLEvent(kind: .streamEnd, mark: start)
  case YAML_DOCUMENT_START_EVENT:
    let head = event.data.document_start
    let hasDirectives = head.version_directive != nil || head.tag_directives.start != head.tag_directives.end
    return YAMLEvent(kind: .documentStart(hasDirectives: hasDirectives), mark: start)
  case YAML_DOCUMENT_END_EVENT: return YAMLEvent(kind: .documentEnd, mark: start)
  case YAML_ALIAS_EVENT: return YAMLEvent(kind: .alias, mark: start)
  case YAML_SCALAR_EVENT: return convert(event.data.scalar, at: start)
  case YAML_SEQUENCE_START_EVENT:
    let head = event.data.sequence_start
    return YAMLEvent(
      kind: .sequenceStart, mark: start, hasAnchor: head.anchor != nil, hasTag: head.tag != nil)
  case YAML_SEQUENCE_END_EVENT: return YAMLEvent(kind: .sequenceEnd, mark: start)
  case YAML_MAPPING_START_EVENT:
    let head = event.data.mapping_start
    return YAMLEvent(kind: .mappingStart, mark: start, hasAnchor: head.anchor != nil, hasTag: head.tag != nil)
  case YAML_MAPPING_END_EVENT: return YAMLEvent(kind: .mappingEnd, mark: start)
  default: return nil
  }
}

private typealias ScalarData = yaml_event_s.__Unnamed_union_data.__Unnamed_struct_scalar

private func convert(_ scalar: ScalarData, at start: Mark) -> YAMLEvent {
  let bytes = UnsafeBufferPointer(start: scalar.value, count: Int(clamping: scalar.length))
  return YAMLEvent(
    kind: .scalar(
      text: String(decoding: bytes, as: UTF8.self), isPlain: scalar.style == YAML_PLAIN_SCALAR_STYLE),
    mark: start, hasAnchor: scalar.anchor != nil, hasTag: scalar.tag != nil)
}
