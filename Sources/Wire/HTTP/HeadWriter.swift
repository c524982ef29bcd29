/// Writes a message head line by line.
struct HeadWriter {
  private(set) var bytes: [UInt8] = []

  /// What a head of ours costs at least, in bytes.
  private static let allowance = 256

  init(startLine: String, like received: FieldList) {
    bytes.reserveCapacity(received.bytes.count + Self.allowance)
    bytes += startLine.utf8
    endLine()
  }

  mutating func field(_ name: String, _ value: some Sequence<UInt8>) {
    bytes += name.utf8
    bytes += ": ".utf8
    bytes += value
    endLine()
  }

  mutating func field(_ name: String, _ value: String) {
    field(name, value.utf8)
  }

  /// Carries over every field that speaks to the other end: not those of this
  /// hop, not those that `Connection` names, not those about framing.
  ///
  /// - Source: RFC 9110 §7.6.1.
  mutating func endToEndFields(of fields: FieldList, except dropped: FieldName? = nil) {
    let named = fields.connectionOptions
    for entry in fields.entries where !entry.name.isHopByHop && entry.name != dropped {
      let name = fields.rawName(of: entry)
      if named.contains(where: { $0.elementsEqual(name) { lowerCased($0) == lowerCased($1) } }) { continue }
      bytes += name
      bytes += ": ".utf8
      bytes += fields.value(of: entry)
      endLine()
    }
  }

  /// Says how the body that follows ends; nothing for `.none` and `.untilClose`.
  mutating func framing(_ framing: BodyFraming) {
    switch framing {
    case .none, .untilClose: break
    case .length(let length): field("Content-Length", String(length))
    case .chunked: field("Transfer-Encoding", "chunked")
    }
  }

  /// RFC 9110 §7.6.3.
  mutating func via() {
    field("Via", "1.1 exitgate")
  }

  mutating func endLine() {
    bytes.append(carriageReturn)
    bytes.append(lineFeed)
  }
}
