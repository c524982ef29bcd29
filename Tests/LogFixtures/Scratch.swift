import Audit
import Foundation

/// A directory of its own for one test, removed with it; in memory where there
/// is such a place, since every log that is opened waits for its disk.
public final class Scratch {
  /// The directory.
  public let path: String

  /// Makes it.
  public init() throws {
    let memory = "/dev/shm", hasMemory = FileManager.default.isWritableFile(atPath: memory)
    let parent = hasMemory ? memory : FileManager.default.temporaryDirectory.path
    path = parent + "/audit-\(UUID().uuidString)"
    try FileManager.default.createDirectory(
      atPath: path, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }

  /// Where the log stands in it.
  public var log: String { path + "/audit.jsonl" }

  public func options(rotateAt: Int64 = 64 << 20) -> AuditOptions {
    AuditOptions(path: log, rotateAt: rotateAt)
  }

  public func read(_ name: String = "audit.jsonl") -> [UInt8] {
    FileManager.default.contents(atPath: path + "/" + name).map(Array.init) ?? []
  }

  public func write(_ bytes: [UInt8], to name: String = "audit.jsonl") {
    _ = FileManager.default.createFile(
      atPath: path + "/" + name, contents: Data(bytes), attributes: [.posixPermissions: 0o600])
  }

  /// Writes behind what is there.
  public func append(_ bytes: [UInt8], to name: String = "audit.jsonl") throws {
    let file = URL(fileURLWithPath: path + "/" + name)
    let handle = try FileHandle(forWritingTo: file)
    handle.seekToEndOfFile()
    handle.write(Data(bytes))
    handle.closeFile()
  }

  public func copy(_ from: String, to: String) throws {
    try? FileManager.default.removeItem(atPath: path + "/" + to)
    try FileManager.default.copyItem(atPath: path + "/" + from, toPath: path + "/" + to)
  }

  public func lines(_ name: String = "audit.jsonl") -> [[UInt8]] {
    read(name).split(separator: UInt8(ascii: "\n")).map(Array.init)
  }

  /// The log's records, read back.
  public func records() throws -> [LogRecord] {
    var reader = try LogReader(path: log), records: [LogRecord] = []
    try reader.forEach { records.append($0) }
    return records
  }
}
