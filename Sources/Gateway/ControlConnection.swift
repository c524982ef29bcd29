import Control
import EventLoop

/// The way back to a client of the control socket for one request, for any thread at any time.
public struct ControlAnswer: Sendable {
  private let answer: Answer

  fileprivate init(_ answer: Answer) {
    self.answer = answer
  }

  /// Sends the one reply to the request.
  public func callAsFunction(_ reply: ControlReply) {
    answer.send(reply.line())
  }

  /// Sends a reply of several lines, all at once.
  public func callAsFunction(_ replies: [ControlReply]) {
    answer.send(replies.flatMap { $0.line() })
  }

  /// Begins a reply of many messages, each a line to be pushed. What the client
  /// sends from then on, be it the end, ends it.
  ///
  /// - Parameter limit: In bytes: a client for which more is waiting is cut off.
  public func stream(
    limit: Int = MessageStream.defaultLimit, onEnd: @escaping @Sendable () -> Void = {}
  ) -> MessageStream {
    answer.stream([], limit: limit, onEnd: onEnd)
  }
}

/// What is spoken with one client of the control socket: a line asks, a line answers.
final class ControlDialogue: Dialogue {
  private let peer: PeerCredentials
  private let handler: ControlSocket.Handler
  private let notice: ControlSocket.Notice

  init(
    peer: PeerCredentials, handler: @escaping ControlSocket.Handler, notice: @escaping ControlSocket.Notice
  ) {
    self.peer = peer
    self.handler = handler
    self.notice = notice
  }

  func take(_ input: ArraySlice<UInt8>, resumingAt seen: Int, answer: Answer) throws(Refusal) -> Int? {
    guard let end = input.dropFirst(seen).firstIndex(of: UInt8(ascii: "\n")) else {
      if input.count >= ControlProtocol.maximumLength { throw refusal(.tooLong) }
      return nil
    }
    do throws(ControlError) {
      handler(try ControlRequest(line: Array(input[..<end])), peer, ControlAnswer(answer))
    } catch {
      throw refusal(error)
    }
    return end + 1 - input.startIndex
  }

  private func refusal(_ error: ControlError) -> Refusal {
    notice(.badRequest(error), peer)
    return Refusal(ControlReply.refused("\(error)").line())
  }
}
