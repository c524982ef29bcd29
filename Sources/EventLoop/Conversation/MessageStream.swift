import Synchronization

/// An answer of many messages, sent to one peer as they come up.
///
/// Any thread may push; the messages of one thread arrive in their order. A
/// peer that does not keep up is cut off, and never holds anybody up or makes
/// more than `limit` bytes wait.
public final class MessageStream: Sendable {
  /// In bytes; a few hundred messages of the control socket, or some pages.
  public static let defaultLimit = 256 * 1024

  private let answer: Answer
  private let limit: Int
  /// Bytes pushed that the kernel has not taken.
  private let waiting = Atomic(0)
  private let isOver = Atomic(false)
  private let onEnd: @Sendable () -> Void

  init(_ answer: Answer, limit: Int, onEnd: @escaping @Sendable () -> Void) {
    self.answer = answer
    self.limit = limit
    self.onEnd = onEnd
  }

  /// Whether a message may still arrive.
  public var isOpen: Bool { !isOver.load(ordering: .acquiring) }

  /// Sends one more message, whole; a line or an event is complete in itself.
  ///
  /// - Returns: Whether it was taken; false once the stream is over, and from
  ///   then on.
  @discardableResult
  public func push(_ message: [UInt8]) -> Bool {
    guard isOpen, !message.isEmpty else { return isOpen }
    guard take(message.count) else {
      end(cuttingOff: true)
      return false
    }
    answer.room.reach(answer.connection) { [answer] in $0.push(message, of: answer.request) }
    return true
  }

  /// Ends the answer behind what was pushed, and closes the connection.
  public func end() {
    end(cuttingOff: false)
  }

  private func end(cuttingOff: Bool) {
    guard !isOver.exchange(true, ordering: .acquiringAndReleasing) else { return }
    answer.room.reach(answer.connection) { [answer] in
      $0.endStream(of: answer.request, cuttingOff: cuttingOff)
    }
  }

  /// Counts bytes that are to wait; false when there is no room for them.
  func take(_ count: Int) -> Bool {
    waiting.add(count, ordering: .relaxed).newValue <= limit
  }

  /// Counts bytes that wait no longer.
  func give(_ count: Int) {
    waiting.subtract(count, ordering: .relaxed)
  }

  /// Nothing arrives any more. On the loop, once.
  func close() {
    isOver.store(true, ordering: .releasing)
    onEnd()
  }
}
