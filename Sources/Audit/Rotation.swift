import Dispatch
import Glibc
import Policy
import Synchronization

/// Setting the file aside, and noticing that somebody else did.
extension AuditLog {
  /// Renames the file to the next segment and begins a new one; the chain goes
  /// on. When that fails the old file goes on too, and a minute later it is
  /// tried again.
  func rotate(_ writer: inout LogWriter) {
    guard writer.size > 0, clock.monotonic() >= writer.rotateAfter else { return }
    do throws(AuditError) {
      let target = try Segments(path: options.path).setAside()
      do throws(AuditError) { try replaceFile(&writer) } catch {
        _ = rename(target, options.path)
        throw error
      }
      note("continues \(FileAccess.name(of: target))", clock.wall())
      writer.mayHaveTooMany = true
    } catch {
      writer.statistics.fail(error.description)
      writer.rotateAfter = clock.monotonic() &+ LogWriter.rotateDelay
    }
  }

  /// Opens an empty file at the log's path and lets the queue finish the old one.
  private func replaceFile(_ writer: inout LogWriter) throws(AuditError) {
    let file = try FileAccess.open(options.path, flags: O_RDWR | O_APPEND | O_CREAT)
    guard let size = try? file.status().size, size == 0 else {
      throw AuditError(path: options.path, problem: .notALog)
    }
    let old = writer.file
    queue.async { try? old.synchronize() }
    (writer.file, writer.size) = (writer.wrap(file), 0)
  }

  /// Sees that the path leads to the open file, and that the file is as long as
  /// it was left; a file that was moved away or removed is followed by a new one.
  ///
  /// - Returns: false when no new one can be made: nobody would find the records.
  func checkPlace(_ writer: inout LogWriter, _ now: Timestamp) -> Bool {
    guard !writer.isClosed else { return true }
    guard isInPlace(writer) else { return moveBack(&writer, now) }
    guard let size = try? writer.file.status().size, size != writer.size, writer.failure == nil else {
      return true
    }
    note("the log's file had \(size) bytes where \(writer.size) were written", now)
    writer.size = size
    return true
  }

  private func isInPlace(_ writer: LogWriter) -> Bool {
    guard let named = FileAccess.status(ofLink: options.path), let open = try? writer.file.status() else {
      return false
    }
    return named.isSameFile(as: open)
  }

  private func moveBack(_ writer: inout LogWriter, _ now: Timestamp) -> Bool {
    do throws(AuditError) {
      try replaceFile(&writer)
      note("the log's file was moved or removed", now)
      return true
    } catch {
      writer.statistics.fail(error.description)
      return false
    }
  }

  private func note(_ detail: String, _ now: Timestamp) {
    enqueue(.lifecycle(LifecycleRecord(time: now, event: .rotated, detail: detail)))
  }
}
