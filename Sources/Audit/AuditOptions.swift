import SystemPackage

/// Where a log is kept and how.
public struct AuditOptions: Sendable {
  /// The file that is written to; older segments stand beside it as
  /// `PATH.000001`, `PATH.000002`, …
  public var path: String
  /// In bytes; the file is set aside once it is this large.
  public var rotateAt: Int64
  /// How many files that were set aside are kept, at least 1; nil keeps all of
  /// them, since a log is evidence.
  public var keep: Int?
  /// The signing key; the public key stands beside it with `.pub` behind the name.
  public var keyPath: String

  /// Told of each decision against a connection or a question, also of those that are counted and not written.
  public var onDenial: (@Sendable (DecisionRecord) -> Void)?

  /// Called once an older log was read and brought in order, before the start is recorded.
  public var onRecovered: (@Sendable () -> Void)?

  /// Takes the defaults: 64 MiB segments, all of them kept, the key beside the log as `PATH.key`.
  public init(path: String, rotateAt: Int64 = 64 << 20, keep: Int? = nil, keyPath: String? = nil) {
    self.path = path
    self.rotateAt = rotateAt
    self.keep = keep
    self.keyPath = keyPath ?? path + ".key"
  }
}

extension AuditOptions {
  /// What a person should hear about the place of the log; nil when it is safe.
  public var warning: String? {
    guard let mode = FileAccess.looseMode(ofDirectoryOf: path) else { return nil }
    return
      "\(path): others can write its directory (mode \(String(mode, radix: 8))) and so put another log in its place; "
      + "keep a copy of \(keyPath).pub elsewhere. Run 'chmod go-w \(FileAccess.parent(of: path))'."
  }
}

/// Why a log cannot be opened or read: the place, the cause and the remedy.
public struct AuditError: Error, Hashable, Sendable, CustomStringConvertible {
  /// The file or directory.
  public var path: String
  /// What is wrong with it.
  public var problem: Problem

  /// What is wrong.
  public enum Problem: Hashable, Sendable {
    /// A link, a device, a FIFO, a directory: not a plain file with one name.
    case notRegularFile
    /// Not a directory.
    case notDirectory
    /// Others than the owner may write to it; its permission bits.
    case writableByOthers(mode: UInt32)
    /// It belongs to another user.
    case foreignOwner(userID: UInt32)
    /// Another process writes this log.
    case inUse
    /// There is something in it that is not an audit log.
    case notALog
    /// The key file does not hold a key.
    case badKey
    /// The file that checkpoints were to be read from holds none.
    case noCheckpoint
    /// A system call failed.
    case failed(operation: String, Errno)
  }

  /// Makes an error.
  public init(path: String, problem: Problem) {
    self.path = path
    self.problem = problem
  }

  public var description: String { "\(path): \(cause). \(remedy)." }

  /// What is wrong, in words that go on from the path.
  public var cause: String {
    switch problem {
    case .notRegularFile: "is not a plain file with one name"
    case .notDirectory: "is not a directory"
    case .writableByOthers(let mode): "can be written by others (mode \(String(mode, radix: 8)))"
    case .foreignOwner(let user): "belongs to user \(user)"
    case .inUse: "another process writes this log"
    case .notALog: "holds something that is not an audit log"
    case .badKey: "does not hold an Ed25519 key"
    case .noCheckpoint: "holds no checkpoint of a log"
    case .failed(let operation, let error): "cannot \(operation): \(error)"
    }
  }

  private var remedy: String {
    switch problem {
    case .notRegularFile: "Give the log a path of its own, not a link or a device"
    case .notDirectory: "Name a directory that exists"
    case .writableByOthers: "Run 'chmod go-w \(path)', or choose another place for the log"
    case .foreignOwner: "Choose a place that belongs to the user who runs Exitgate"
    case .inUse: "Stop the other process, or give this one another log file"
    case .notALog: "Move it away, or name another file"
    case .badKey: "Put the right key back, or move it away to have a new one made"
    case .noCheckpoint:
      "Name a file with what was shipped: checkpoint records, or copies of the log's head file"
    case .failed(_, .noSpace), .failed(_, .diskQuotaExceeded): "Make room on this file system"
    case .failed(_, .permissionDenied), .failed(_, .notPermitted), .failed(_, .readOnlyFileSystem):
      "Choose a place where the user who runs Exitgate may write"
    case .failed: "Choose another place for the log"
    }
  }
}

/// How a log is doing.
public struct AuditStatistics: Hashable, Sendable {
  /// Records handed to the kernel since the log was opened.
  public var records: UInt64 = 0
  /// Bytes handed to the kernel since the log was opened.
  public var bytes: UInt64 = 0
  /// The number of the last record in the file.
  public var lastSequence: UInt64 = 0
  /// Records that only counters tell of, since the log could not be written.
  public var collapsed: UInt64 = 0
  /// Writes, and attempts to have the disk take them, that failed.
  public var failures: UInt64 = 0
  /// Why the last write failed; stays after the log is well again.
  public var lastError: String?
  /// Records that the kernel has and the disk may not.
  public var lag: Int = 0
  /// Whether new records can be written.
  public var isAvailable = true

  /// Counts a failure and keeps why.
  mutating func fail(_ cause: String) {
    failures += 1
    lastError = cause
  }
}
