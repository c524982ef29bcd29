import Audit
import Glibc
import Review

/// A log that is summed up while it is written.
struct FollowedLog {
  private var reader: LogReader
  private var lines: LineSummarizer

  init(_ records: RecordOptions, in here: Surroundings) throws(Failure) {
    reader = try records.reader(in: here)
    lines = LineSummarizer(records.filter)
  }

  /// Everything up to now.
  mutating func summary() throws(Failure) -> LogSummary {
    do { while let line = try reader.next() { take(line) } } catch { throw Failure(error) }
    return lines.summary
  }

  /// Waits until there is more.
  mutating func wait() throws(Failure) {
    do {
      while true {
        // inotify(7) would not tell of a rotation; a quarter of a second is soon enough for people.
        usleep(250_000)
        guard let line = try reader.next() else { continue }
        return take(line)
      }
    } catch { throw Failure(error) }
  }

  private mutating func take(_ line: LogLine) {
    line.bytes.withUnsafeBytes { lines.add($0) }
  }
}
