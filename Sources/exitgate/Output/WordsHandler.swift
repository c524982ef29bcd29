import Glibc
import Logging

/// Operational words on standard error, one line each: `exitgate: warning: …`.
/// The audit log is another thing; nothing is kept here.
struct WordsHandler: LogHandler {
  var metadata: Logger.Metadata = [:]
  var logLevel: Logger.Level = .info
  private let prefix: String
  private let say: @Sendable (Text) -> Void

  /// - Parameter say: Writes a line; to standard error unless given.
  init(
    prefix: String = "exitgate",
    say: @escaping @Sendable (Text) -> Void = { writeAll(Array("\($0.plain)\n".utf8), to: STDERR_FILENO) }
  ) {
    (self.prefix, self.say) = (prefix, say)
  }

  subscript(metadataKey key: String) -> Logger.Metadata.Value? {
    get { metadata[key] }
    set { metadata[key] = newValue }
  }

  func log(event: LogEvent) {
    let level = event.level < .warning ? "" : "\(event.level.rawValue): "
    let all = metadata.merging(event.metadata ?? [:]) { $1 }.sorted { $0.key < $1.key }
    let details = all.map { " \($0.key)=\($0.value)" }.joined()
    say("\(prefix): \(level)\(event.message)\(details)")
  }
}
