import Policy

/// A record that signs the chain up to itself, and the sidecar file that holds
/// the last of them, so that a cut tail is noticed.
///
/// The signature covers a purpose and the line's bytes before `,"signature":`,
/// among them number, `prev`, time and public key.
enum Checkpoint {
  /// How many records stand between two checkpoints.
  static let interval = 1000
  /// In nanoseconds; with fewer records one is written after this long.
  static let timeInterval: UInt64 = 60_000_000_000

  /// The members of a checkpoint record without its signature.
  static func fields(key: VerifyingKey, time: Timestamp) -> [UInt8] {
    var json = JSONWriter(reserving: 320)
    json.verbatim(#""class_uid":6002,"category_uid":6,"activity_id":99,"type_uid":600299"#)
    json.key("time")
    json.integer(time.milliseconds)
    json.verbatim(#""severity_id":1,"unmapped":{"event":"checkpoint"}"#)
    json.field("key", key.description)
    return json.bytes
  }

  /// What a checkpoint's signature covers; `line` ends before `,"signature":`.
  static func message(line: some Sequence<UInt8>) -> [UInt8] {
    Array("exitgate audit checkpoint 1\n".utf8) + line
  }
}

/// The signed part of a checkpoint's line.
struct CheckpointLine {
  var key: VerifyingKey
  var signature: [UInt8]
  var message: [UInt8]

  private static let mark = Array(#","signature":""#.utf8), keyMark = Array(#","key":""#.utf8)

  /// Finds the signature where a checkpoint has it, right before the hash. No
  /// text of a record can look like it: quotes in text are escaped.
  init?(_ line: [UInt8]) {
    let end = line.count - SealedLine.tailLength - 1 - 128, start = end - Self.mark.count
    let keyStart = start - 65, keyMarkStart = keyStart - Self.keyMark.count
    guard keyMarkStart > 0, line[start..<end].elementsEqual(Self.mark),
      line[keyMarkStart..<keyStart].elementsEqual(Self.keyMark),
      let key = VerifyingKey(hex: String(decoding: line[keyStart..<(keyStart + 64)], as: UTF8.self)),
      let signature = decodeHex(line[end..<(end + 128)])
    else { return nil }
    self.key = key
    self.signature = signature
    message = Checkpoint.message(line: line[..<start])
  }

  /// Whether `expected` made the signature.
  func isSigned(by expected: VerifyingKey) -> Bool {
    key == expected && key.isValid(signature, for: message)
  }
}

/// The content of the sidecar file: the last checkpoint that the disk has.
struct HeadFile: Hashable, Sendable {
  var head: ChainHead
  var time: Timestamp
  var key: VerifyingKey
  var signature: [UInt8]

  /// The file of the log at `path`.
  static func path(of log: String) -> String { log + ".head" }

  /// Signs a head.
  init?(_ head: ChainHead, time: Timestamp, key: SigningKey) {
    self.head = head
    self.time = time
    self.key = key.publicKey
    signature = []
    guard let signature = try? key.signature(for: message) else { return nil }
    self.signature = signature
  }

  /// Reads the file's content; nil when it is none, whoever signed it.
  init?(parsing bytes: [UInt8]) {
    guard let json = try? JSONValue(parsing: bytes, limit: 4096),
      let sequence = json["seq"]?.integer.flatMap({ UInt64(exactly: $0) }),
      let hash = json["hash"]?.text.flatMap({ RecordHash(hex: $0.utf8) }), let time = json["time"]?.integer,
      let key = json["key"]?.text.flatMap({ VerifyingKey(hex: $0) }),
      let signature = json["signature"]?.text.flatMap({ decodeHex($0.utf8) })
    else { return nil }
    head = ChainHead(sequence: sequence, hash: hash)
    self.time = Timestamp(milliseconds: time)
    self.key = key
    self.signature = signature
  }

  /// Whether the signature is right and `expected` made it.
  func isSigned(by expected: VerifyingKey) -> Bool {
    key == expected && key.isValid(signature, for: message)
  }

  /// The file's content.
  var encoded: [UInt8] {
    var json = JSONWriter(reserving: 512)
    json.beginObject()
    encodeSigned(into: &json)
    json.field("signature", hexText(signature))
    json.endObject()
    return json.bytes + [UInt8(ascii: "\n")]
  }

  private var message: [UInt8] {
    var json = JSONWriter(reserving: 320)
    encodeSigned(into: &json)
    return Array("exitgate audit head 1\n".utf8) + json.bytes
  }

  private func encodeSigned(into json: inout JSONWriter) {
    json.key("seq")
    json.integer(head.sequence)
    json.field("hash", head.hash.description)
    json.key("time")
    json.integer(time.milliseconds)
    json.field("key", key.description)
  }
}
