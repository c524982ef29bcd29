import Dispatch
import Glibc
import Policy
import Synchronization

/// Setting the file aside, and noticing that somebody else did.
extension AuditLog {
  /// Begins a new file: after SIGHUP, or because the file was moved away.
  public func reopenOrRotate() {
    writer.withLock { writer in
      if isInPlace(writer) { rotate(&writer) } else { checkPlace(&writer, clock.wall()) }
      _ = commit(&writer, checkpoint: false)
    }
  }

  /// Renames the file to the next segment and begins a new one; the chain goes
  /// on. When that fails the old file goes on too, and a minute later it is
  /// tried again.
  func rotate(_ writer: inout LogWriter) {
    guard writer.size > 0, clock.monotonic() >= writer.rotateAfter else { return }
    let target = Segments(path: options.path).next
    guard rename(options.path, target) == 0 else { return postpone(&writer, "cannot rename: \(lastErrno())") }
    guard replaceFile(&writer) else {
      _ = rename(target, options.path)
      return
    }
    enqueue(
      .lifecycle(
        LifecycleRecord(
          time: clock.wall(), event: .rotated, detail: "continues \(FileAccess.name(of: target))")))
  }

  /// Opens a new file at the log's path and lets the queue finish the old one.
  private func replaceFile(_ writer: inout LogWriter) -> Bool {
    do {
      let file = try FileAccess.open(options.path, flags: O_RDWR | O_APPEND | O_CREAT | O_EXCL)
      let old = writer.file
      queue.async { try? old.synchronize() }
      (writer.file, writer.size) = (writer.wrap(file), 0)
      return true
    } catch {
      postpone(&writer, error.description)
      return false
    }
  }

  private func postpone(_ writer: inout LogWriter, _ error: String) {
    writer.statistics.lastError = error
    writer.rotateAfter = clock.monotonic() &+ 60_000_000_000
  }

  private func isInPlace(_ writer: LogWriter) -> Bool {
    guard let named = FileAccess.status(ofLink: options.path), let open = try? writer.file.status() else {
      return false
    }
    return named.isSameFile(as: open)
  }

  /// Looks whether the path still leads to the open file, and whether the file
  /// is as long as it was left.
  func checkPlace(_ writer: inout LogWriter, _ now: Timestamp) {
    guard writer.failure == nil, !writer.isClosed else { return }
    guard isInPlace(writer) else {
      guard FileAccess.status(ofLink: options.path) == nil else {
        writer.statistics.lastError = "another file stands at \(options.path)"
        return
      }
      if replaceFile(&writer) { note("the log's file was moved or removed; a new one was begun", now) }
      return
    }
    guard let size = try? writer.file.status().size, size != writer.size else { return }
    note("the log's file had \(size) bytes where \(writer.size) were written", now)
    writer.size = size
  }

  private func note(_ detail: String, _ now: Timestamp) {
    enqueue(.lifecycle(LifecycleRecord(time: now, event: .rotated, detail: detail)))
  }
}
