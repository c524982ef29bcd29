import Glibc
import Policy
import SystemPackage

/// The order to stop, beside the log as `PATH.stop`, so that neither a crash
/// nor a restart takes it back.
///
/// One name a line, `*` for everybody. An empty file, one that is too long, and
/// one that makes no sense stop everybody.
public struct StopFile: Sendable {
  /// The file.
  public let path: String
  /// In bytes; more agents than fit are written as everybody.
  private static let limit = 65_536

  /// Makes the file's name; touches nothing.
  public init(ofLog path: String) { self.path = path + ".stop" }

  /// Reads it; no file is no order.
  public func read() -> StopOrder {
    guard let bytes = try? FileAccess.read(path, limit: Self.limit) else {
      return StopOrder(everybody: FileAccess.status(ofLink: path) != nil)
    }
    let lines = bytes.split(separator: UInt8(ascii: "\n")).map { String(decoding: $0, as: UTF8.self) }
    let agents = lines.compactMap { AgentName($0) }
    guard !agents.isEmpty, agents.count == lines.count, bytes.count < Self.limit else {
      return StopOrder(everybody: true)
    }
    return StopOrder(agents: Set(agents))
  }

  /// Writes it, or takes it away where nobody is stopped.
  ///
  /// - Throws: `AuditError`; then what was there before may still be.
  public func write(_ order: StopOrder) throws(AuditError) {
    guard order.isGiven else {
      guard unlink(path) == 0 || errno == ENOENT else {
        throw AuditError(path: path, problem: .failed(operation: "remove", lastErrno()))
      }
      return
    }
    let names = order.everybody ? ["*"] : order.agents.map(\.text).sorted()
    var bytes = Array((names.joined(separator: "\n") + "\n").utf8)
    if bytes.count >= Self.limit { bytes = Array("*\n".utf8) }
    try FileAccess.prepareDirectory(of: path)
    try FileAccess.replace(path, with: bytes)
  }
}
