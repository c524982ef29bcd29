import Glibc
import Policy
import SystemPackage

/// The order to stop, beside the log as `PATH.stop`, so that neither a crash
/// nor a restart takes it back.
///
/// One name a line, `*` for everybody, then by what agents were told apart. An
/// empty file, one that is too long, one that makes no sense, and one of names
/// that may be others' by now stop everybody.
public struct StopFile: Sendable {
  /// The file.
  public let path: String
  /// In bytes; more agents than fit are written as everybody.
  private static let limit = 65_536

  /// Makes the file's name; touches nothing.
  public init(ofLog path: String) { self.path = path + ".stop" }

  /// What it says, and what a person should hear of that.
  public struct Content: Hashable, Sendable {
    /// Who is stopped.
    public var order: StopOrder
    /// Why it is everybody, where the order was about some.
    public var note: String?
  }

  /// Reads it; no file is no order.
  public func read() -> StopOrder { read(of: "").order }

  /// Reads it under a policy by which agents are told apart as `identity` says.
  public func read(of identity: String) -> Content {
    guard let bytes = try? FileAccess.read(path, limit: Self.limit) else {
      return Content(order: StopOrder(everybody: FileAccess.status(ofLink: path) != nil))
    }
    var lines = bytes.split(separator: UInt8(ascii: "\n")).map { String(decoding: $0, as: UTF8.self) }
    let seen = lines.last.flatMap { $0.utf8.starts(with: Self.mark.utf8) ? $0 : nil }
    if seen != nil { lines.removeLast() }
    let agents = lines.compactMap { AgentName($0) }
    guard !agents.isEmpty, agents.count == lines.count, bytes.count < Self.limit else {
      return Content(order: StopOrder(everybody: true))
    }
    guard seen == (identity.isEmpty ? nil : Self.mark + identity) else {
      return Content(order: StopOrder(everybody: true), note: Self.note(agents))
    }
    return Content(order: StopOrder(agents: Set(agents)))
  }

  private static let mark = "# told apart by "

  private static func note(_ agents: [AgentName]) -> String {
    "stopped was \(agents.map(\.text).sorted().joined(separator: ", ")), and agents are told apart otherwise now, "
      + "so everybody is"
  }

  /// Writes it, or takes it away where nobody is stopped.
  ///
  /// - Parameter identity: By what agents are told apart; one line.
  /// - Throws: `AuditError`; then what was there before may still be.
  public func write(_ order: StopOrder, of identity: String = "") throws(AuditError) {
    guard order.isGiven else {
      guard unlink(path) == 0 || errno == ENOENT else {
        throw AuditError(path: path, problem: .failed(operation: "remove", lastErrno()))
      }
      return
    }
    var names = order.everybody ? ["*"] : order.agents.map(\.text).sorted()
    if !order.everybody, !identity.isEmpty { names.append(Self.mark + identity) }
    var bytes = Array((names.joined(separator: "\n") + "\n").utf8)
    if bytes.count >= Self.limit { bytes = Array("*\n".utf8) }
    try FileAccess.prepareDirectory(of: path)
    try FileAccess.replace(path, with: bytes)
  }
}
