import Glibc
import Policy

/// Taking the oldest segments away, where the log is to keep only so many.
extension AuditLog {
  /// The most that one look removes: the writer is locked meanwhile.
  private static let removalsAtOnce = 16

  /// Removes segments beyond `AuditOptions.keep`, the oldest first.
  ///
  /// That a segment goes is in the log before it is gone, so the chain itself
  /// says what became of its beginning; what cannot be recorded is not removed.
  /// The newest segment always stays: the numbers go on from it.
  func removeOldest(_ writer: inout LogWriter, _ now: Timestamp) {
    guard let keep = options.keep, writer.mayHaveTooMany, !writer.isClosed else { return }
    do throws(AuditError) {
      let segments = Segments(path: options.path)
      let outdated = try segments.numbers().dropLast(max(1, keep)).map(segments.file)
        .filter { FileAccess.status(ofLink: $0)?.isRegular == true }
      writer.mayHaveTooMany = outdated.count > Self.removalsAtOnce
      for file in outdated.prefix(Self.removalsAtOnce) {
        guard record(file, &writer, now) else { return writer.mayHaveTooMany = true }
        guard unlink(file) == 0 else {
          throw AuditError(path: file, problem: .failed(operation: "remove", lastErrno()))
        }
      }
    } catch {
      writer.mayHaveTooMany = false
      writer.statistics.fail(error.description)
    }
  }

  private func record(_ file: String, _ writer: inout LogWriter, _ now: Timestamp) -> Bool {
    let detail = "removes \(FileAccess.name(of: file))"
    enqueue(.lifecycle(LifecycleRecord(time: now, event: .removed, detail: detail)))
    return commit(&writer, checkpoint: false)
  }
}
