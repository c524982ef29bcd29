import Policy
import SystemPackage

/// Checks that nothing in a log was changed, taken out, put in or cut off.
///
/// What is behind the last checkpoint that the head file names is only chained,
/// not yet signed: at most 60 seconds or about 1000 records. Who holds the
/// signing key, or puts an older copy of log *and* head file back, is not found.
public struct LogVerifier: Sendable {
  private let path: String
  private let key: VerifyingKey

  /// The most findings that are kept.
  public static let findingLimit = 16
  /// More records than this without a checkpoint are more than one write leaves.
  static let unsignedLimit: UInt64 = 4000

  /// Prepares to check the log at `path`.
  ///
  /// - Parameter key: nil takes the public key file beside the log.
  /// - Throws: `AuditError` when that file cannot be read.
  public init(path: String, key: VerifyingKey? = nil) throws(AuditError) {
    self.path = path
    if let key { self.key = key } else { self.key = try VerifyingKey(file: path + ".key.pub") }
  }

  /// Reads the whole log.
  ///
  /// - Parameter file: A file with checkpoints that were kept elsewhere; the log must hold each state they sign.
  /// - Throws: `AuditError` when a file cannot be read, or `file` holds no checkpoint.
  public func verify(againstCheckpointsIn file: String? = nil) throws(AuditError) -> Verification {
    let shipped = try file.map { file throws(AuditError) in try ShippedCheckpoints(file: file, key: key) }
    let head = try readHead()
    var reader = try LogReader(path: path)
    var walk = Walk(
      key: key, head: head.known, mustBeginAtOne: try Segments(path: path).startAtFirst(), shipped: shipped)
    walk.result.shipped = shipped.map { .init(checkpoints: $0.states.count) }
    while let line = try reader.next() { walk.visit(line) }
    walk.finish(torn: reader.rest, path: path, headProblem: head.problem)
    return walk.result
  }

  private func readHead() throws(AuditError) -> (known: HeadFile?, problem: Verification.Problem?) {
    let path = HeadFile.path(of: path)
    guard FileAccess.status(ofLink: path) != nil else { return (nil, .headMissing) }
    let file = try FileAccess.openForReading(path)
    guard let bytes = try? file.read(at: 0, count: 4096), let known = HeadFile(parsing: bytes) else {
      return (nil, .headUnreadable)
    }
    if known.key != key { return (nil, .headOfForeignKey) }
    return known.isSigned(by: key) ? (known, nil) : (nil, .headWronglySigned)
  }
}

/// What a check found.
public struct Verification: Sendable {
  /// How many records there are.
  public internal(set) var records: UInt64 = 0
  /// The number of the first record; above 1 when the first segments were taken
  /// away, which is no finding: somebody has to make room one day.
  public internal(set) var firstSequence: UInt64?
  /// The number of the last record.
  public internal(set) var lastSequence: UInt64?
  /// How many good checkpoints there are.
  public internal(set) var checkpoints = 0
  /// The last record that a good checkpoint or the head file signs.
  public internal(set) var signedThrough: UInt64 = 0
  /// What is wrong, in the order of the files; the first names the first bad record.
  public internal(set) var findings: [Finding] = []
  /// How many there are in all.
  public internal(set) var findingCount = 0
  /// Bytes of a line that is not finished, at the end of the last file.
  public internal(set) var tornBytes = 0
  /// How the log agrees with checkpoints kept elsewhere; nil when there was nothing to compare with.
  public internal(set) var shipped: Shipped?

  /// Checkpoints that were kept elsewhere.
  public struct Shipped: Hashable, Sendable {
    /// How many states they sign.
    public internal(set) var checkpoints: Int
    /// How many of these the log holds exactly.
    public internal(set) var matched = 0
    /// How many lie before the log's first record, where files were taken away.
    public internal(set) var before = 0
  }

  /// Whether nothing is wrong.
  public var isIntact: Bool { findingCount == 0 }

  /// One thing that is wrong, and where.
  public struct Finding: Hashable, Sendable, CustomStringConvertible {
    /// The file.
    public var file: String
    /// The line, from 1; nil for the file as a whole.
    public var line: Int?
    /// The record's number as the line states it.
    public var sequence: UInt64?
    /// What is wrong.
    public var problem: Problem

    public var description: String {
      let place = line.map { "\(file):\($0)" } ?? file
      return "\(place): \(sequence.map { "record \($0): " } ?? "")\(problem)"
    }
  }

  /// What can be wrong.
  public enum Problem: Hashable, Sendable, CustomStringConvertible {
    /// The line is no record.
    case notARecord
    /// The line ends in the middle.
    case torn
    /// The record was changed after it was written.
    case wrongHash
    /// Records are missing before this one.
    case missing(from: UInt64, to: UInt64)
    /// The record stands behind a later one.
    case outOfOrder(expected: UInt64)
    /// The record before is not the one that was there when this one was written.
    case brokenLink
    /// The checkpoint's signature does not fit the chain.
    case wrongSignature
    /// The checkpoint is signed by another key.
    case foreignKey
    /// Too many records before this one carry no signature.
    case unsigned(since: UInt64)
    /// The log ends before a record that was signed.
    case truncated(signed: UInt64)
    /// This record is not the one that was signed under its number.
    case notTheSignedOne
    /// This record, or the one before the first, is not the one that a checkpoint kept elsewhere signs.
    case notTheShippedOne
    /// The log ends before a record that a checkpoint kept elsewhere signs.
    case shippedMissing(signed: UInt64)
    /// No checkpoint that was kept elsewhere lies within the log.
    case nothingShippedCovered
    /// Two checkpoints kept elsewhere sign different records of one number.
    case shippedTwice
    /// The head file is gone.
    case headMissing
    /// The head file is no such file.
    case headUnreadable
    /// The head file's signature is wrong.
    case headWronglySigned
    /// The head file is signed by another key.
    case headOfForeignKey

    public var description: String {
      switch self {
      case .notARecord: "the line is not a record"
      case .torn: "the line ends in the middle"
      case .wrongHash: "changed after it was written (its hash is wrong)"
      case .missing(let from, let to) where from == to: "record \(from) is missing before it"
      case .missing(let from, let to): "records \(from) to \(to) are missing before it"
      case .outOfOrder(let expected): "out of order (\(expected) belongs here)"
      case .brokenLink: "the record before it was replaced (its 'prev' does not fit)"
      case .wrongSignature: "the checkpoint's signature is wrong"
      case .foreignKey: "the checkpoint is signed by another key"
      case .unsigned(let since): "no checkpoint since record \(since)"
      case .truncated(let signed): "the end is cut off: record \(signed) was signed and is not here"
      case .notTheSignedOne: "not the record that the head file signs"
      case .notTheShippedOne: "not the record that was signed under its number: the log was rewritten"
      case .shippedMissing(let signed): "the end is cut off: the checkpoints go on to record \(signed)"
      case .nothingShippedCovered: "all its checkpoints lie before the log's first record"
      case .shippedTwice: "another checkpoint signs another record under this number: the log was rewritten"
      case .headMissing: "the head file is gone, so a cut end would not be noticed"
      case .headUnreadable: "the head file cannot be read as one"
      case .headWronglySigned: "the head file's signature is wrong"
      case .headOfForeignKey: "the head file is signed by another key"
      }
    }
  }
}

/// The walk along the chain.
private struct Walk {
  let key: VerifyingKey
  let head: HeadFile?
  /// Whether the oldest file is the log's first.
  let mustBeginAtOne: Bool
  let shipped: ShippedCheckpoints?
  var result = Verification()
  /// The record before; nil at the start.
  var before: ChainHead?
  var unsignedSince: UInt64 = 0

  mutating func visit(_ line: LogLine) {
    guard !line.isTorn else { return report(line, nil, .torn) }
    guard let sealed = SealedLine(line.bytes) else { return report(line, nil, .notARecord) }
    result.records += 1
    checkPlace(of: sealed, line)
    if !sealed.isIntact { report(line, sealed.sequence, .wrongHash) }
    checkSignature(of: sealed, line)
    if let head, head.head.sequence == sealed.sequence, head.head.hash != sealed.stated {
      report(line, sealed.sequence, .notTheSignedOne)
    }
    compare(sealed.head, line, number: sealed.sequence)
    before = sealed.head
    result.lastSequence = max(result.lastSequence ?? 0, sealed.sequence)
  }

  private mutating func checkPlace(of sealed: SealedLine, _ line: LogLine) {
    guard let before else {
      result.firstSequence = sealed.sequence
      unsignedSince = sealed.sequence
      compare(ChainHead(sequence: sealed.sequence - 1, hash: sealed.previous), line, number: sealed.sequence)
      if sealed.sequence > 1, mustBeginAtOne {
        report(line, sealed.sequence, .missing(from: 1, to: sealed.sequence - 1))
      } else if sealed.sequence == 1, sealed.previous != .zero {
        report(line, 1, .brokenLink)
      }
      return
    }
    let expected = before.sequence + 1
    if sealed.sequence > expected {
      report(line, sealed.sequence, .missing(from: expected, to: sealed.sequence - 1))
    } else if sealed.sequence < expected {
      report(line, sealed.sequence, .outOfOrder(expected: expected))
    } else if sealed.previous != before.hash {
      report(line, sealed.sequence, .brokenLink)
    }
  }

  /// Holds one state of the chain to what was kept elsewhere.
  private mutating func compare(_ head: ChainHead, _ line: LogLine, number: UInt64) {
    guard let known = shipped?.states[head.sequence] else { return }
    if known == head.hash { result.shipped?.matched += 1 } else { report(line, number, .notTheShippedOne) }
  }

  private mutating func checkSignature(of sealed: SealedLine, _ line: LogLine) {
    guard let checkpoint = CheckpointLine(line.bytes) else {
      if sealed.sequence > unsignedSince, sealed.sequence - unsignedSince == LogVerifier.unsignedLimit {
        report(line, sealed.sequence, .unsigned(since: unsignedSince))
      }
      return
    }
    guard checkpoint.key == key else { return report(line, sealed.sequence, .foreignKey) }
    guard key.isValid(checkpoint.signature, for: checkpoint.message) else {
      return report(line, sealed.sequence, .wrongSignature)
    }
    result.checkpoints += 1
    result.signedThrough = max(result.signedThrough, sealed.sequence)
    unsignedSince = sealed.sequence
  }

  mutating func finish(torn: LogLine?, path: String, headProblem: Verification.Problem?) {
    result.tornBytes = torn?.bytes.count ?? 0
    if let headProblem {
      add(.init(file: HeadFile.path(of: path), line: nil, sequence: nil, problem: headProblem))
    }
    if let shipped { finish(shipped, path: path) }
    guard let signed = head?.head.sequence, signed > result.lastSequence ?? 0 else { return }
    add(.init(file: path, line: nil, sequence: result.lastSequence, problem: .truncated(signed: signed)))
  }

  private mutating func finish(_ shipped: ShippedCheckpoints, path: String) {
    for finding in shipped.findings { add(finding) }
    let first = result.firstSequence ?? 1, before = shipped.states.keys.count { $0 + 1 < first }
    result.shipped?.before = before
    if let last = shipped.states.keys.max(), last > result.lastSequence ?? 0 {
      add(.init(file: path, line: nil, sequence: result.lastSequence, problem: .shippedMissing(signed: last)))
    } else if before > 0, before == shipped.states.count {
      add(.init(file: shipped.file, line: nil, sequence: nil, problem: .nothingShippedCovered))
    }
  }

  private mutating func report(_ line: LogLine, _ sequence: UInt64?, _ problem: Verification.Problem) {
    add(.init(file: line.file, line: line.number, sequence: sequence, problem: problem))
  }

  private mutating func add(_ finding: Verification.Finding) {
    result.findingCount += 1
    if result.findings.count < LogVerifier.findingLimit { result.findings.append(finding) }
  }
}
