import Addressing
import EventLoop
import Wire

/// The way back to whoever asked for a page, for any thread at any time.
public struct PageReply: Sendable {
  private let answer: Answer
  private let headOnly: Bool
  private let keepAlive: Bool

  init(_ answer: Answer, to request: PageRequest) {
    self.answer = answer
    headOnly = request.method == "HEAD"
    keepAlive = request.keepAlive
  }

  /// Sends the one answer to the request.
  public func callAsFunction(_ page: PageAnswer) {
    answer.send(page.bytes(headOnly: headOnly, keepAlive: keepAlive), thenClose: !keepAlive)
  }

  /// Begins a body without a length, to which bytes are pushed until either
  /// side ends it (RFC 9112 §6.3, rule 8): server-sent events, for example.
  ///
  /// - Parameter head: Status, type, fields and the beginning of the body.
  public func stream(_ head: PageAnswer, onEnd: @escaping @Sendable () -> Void = {}) -> MessageStream {
    answer.stream(head.openBytes, onEnd: onEnd)
  }
}

/// What is spoken with one client of a page server: HTTP/1.1.
final class PageDialogue: Dialogue {
  private let place: Endpoint
  private let handler: PageServer.Handler

  /// A Unix socket has no address and port of its own: its clients name the usual ones.
  init(at place: Endpoint?, handler: @escaping PageServer.Handler) {
    self.place = place ?? Endpoint(.v4(0x7f00_0001), .http)
    self.handler = handler
  }

  func take(_ input: ArraySlice<UInt8>, resumingAt seen: Int, answer: Answer) throws(Refusal) -> Int? {
    do throws(RequestError) {
      guard let (request, length) = try PageRequest.parse(input, at: place, resumingAt: seen) else {
        return nil
      }
      handler(request, PageReply(answer, to: request))
      return length
    } catch {
      let page = PageAnswer.text(error == .hostMismatch ? 421 : error.status, "refused: \(error.token)")
      throw Refusal(page.bytes(headOnly: false, keepAlive: false))
    }
  }
}
