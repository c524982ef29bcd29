/// States of a log's chain that its key signed and that were kept out of its reach: what a log that was
/// written anew cannot agree with, whoever signed it.
///
/// Each line of the file may be a checkpoint's line of the log, a head file, a syslog message with one of
/// them at its end, or JSON with any number of them as texts in it (OTLP, OCSF, ECS). All else is passed over.
struct ShippedCheckpoints: Sendable {
  /// Where they were read from.
  let file: String
  /// The hash that was signed for each record's number.
  private(set) var states: [UInt64: RecordHash] = [:]
  /// What is wrong in the file itself.
  private(set) var findings: [Verification.Finding] = []

  private let key: VerifyingKey

  /// Reads a file.
  ///
  /// - Throws: `AuditError` when it cannot be read, or holds no checkpoint, right or wrong.
  init(file: String, key: VerifyingKey) throws(AuditError) {
    (self.file, self.key) = (file, key)
    var lines = try PlainLines(path: file)
    while let line = try lines.next() { take(line, at: lines.number) }
    guard !states.isEmpty || !findings.isEmpty else { throw AuditError(path: file, problem: .noCheckpoint) }
  }

  private mutating func take(_ line: [UInt8], at number: Int) {
    guard let start = line.firstIndex(of: UInt8(ascii: "{")),
      let end = line.lastIndex(of: UInt8(ascii: "}")), start < end
    else { return }
    let object = Array(line[start...end])
    if take(object: object, at: number) { return }
    guard let json = try? JSONValue(parsing: object, limit: PlainLines.limit) else { return }
    take(textsIn: json, at: number)
  }

  private mutating func take(textsIn json: JSONValue, at number: Int) {
    switch json {
    case .string(let text) where text.utf8.starts(with: SealedLine.opening):
      _ = take(object: Array(text.utf8), at: number)
    case .array(let elements): for element in elements { take(textsIn: element, at: number) }
    case .object(let members): for member in members { take(textsIn: member.value, at: number) }
    default: break
    }
  }

  /// Whether it is a record or a head file, whatever becomes of it.
  private mutating func take(object: [UInt8], at number: Int) -> Bool {
    if let sealed = SealedLine(object) {
      guard let checkpoint = CheckpointLine(object) else { return true }
      let isSigned = sealed.isIntact && checkpoint.isSigned(by: checkpoint.key)
      add(sealed.head, of: checkpoint.key, isSigned: isSigned, at: number)
      return true
    }
    guard let head = HeadFile(parsing: object) else { return false }
    add(head.head, of: head.key, isSigned: head.isSigned(by: head.key), at: number)
    return true
  }

  private mutating func add(_ head: ChainHead, of signer: VerifyingKey, isSigned: Bool, at number: Int) {
    guard isSigned else { return report(head, .wrongSignature, at: number) }
    guard signer == key else { return report(head, .foreignKey, at: number) }
    guard let known = states.updateValue(head.hash, forKey: head.sequence), known != head.hash else { return }
    report(head, .shippedTwice, at: number)
  }

  private mutating func report(_ head: ChainHead, _ problem: Verification.Problem, at number: Int) {
    // As many as are shown of one log; the rest says the same.
    guard findings.count < LogVerifier.findingLimit else { return }
    findings.append(.init(file: file, line: number, sequence: head.sequence, problem: problem))
  }
}

/// The lines of a file that nobody writes to, with memory for one of them.
private struct PlainLines {
  /// In bytes, the longest line that is looked at: a batch of records as collectors write them.
  static let limit = 16 << 20
  private static let blockSize = 1 << 16

  private let path: String
  private let file: SystemLogFile
  private var offset: Int64 = 0
  private var buffer: [UInt8] = []
  private var consumed = 0
  private var isTooLong = false
  private var isAtEnd = false
  /// Of the line that was handed out last, from 1.
  private(set) var number = 0

  init(path: String) throws(AuditError) {
    self.path = path
    file = try FileAccess.openForReading(path)
  }

  /// The next line; what is longer than `limit` is handed out empty.
  mutating func next() throws(AuditError) -> [UInt8]? {
    while true {
      if let end = buffer[consumed...].firstIndex(of: UInt8(ascii: "\n")) { return take(upTo: end, skip: 1) }
      if isAtEnd { return consumed < buffer.count ? take(upTo: buffer.count, skip: 0) : nil }
      try fill()
    }
  }

  private mutating func take(upTo end: Int, skip: Int) -> [UInt8] {
    let line = isTooLong ? [] : Array(buffer[consumed..<end])
    consumed = end + skip
    isTooLong = false
    number += 1
    return line
  }

  private mutating func fill() throws(AuditError) {
    buffer.removeSubrange(..<consumed)
    consumed = 0
    if buffer.count > Self.limit {
      buffer = []
      isTooLong = true
    }
    do {
      let block = try file.read(at: offset, count: Self.blockSize)
      offset += Int64(block.count)
      buffer += block
      isAtEnd = block.isEmpty
    } catch { throw AuditError(path: path, problem: .failed(operation: "read", error)) }
  }
}
