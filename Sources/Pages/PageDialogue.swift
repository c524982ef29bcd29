import Addressing
import EventLoop
import Wire

/// The way back to whoever asked for a page, for any thread at any time.
public struct PageReply: Sendable {
  private let answer: Answer
  private let terms: PageTerms
  private let headOnly: Bool
  private let keepAlive: Bool

  init(_ answer: Answer, to request: PageRequest, _ terms: PageTerms) {
    self.answer = answer
    self.terms = terms
    headOnly = request.method == "HEAD"
    keepAlive = request.keepAlive
  }

  /// Sends the one answer to the request.
  public func callAsFunction(_ page: PageAnswer) {
    answer.send(
      page.under(terms).bytes(headOnly: headOnly, keepAlive: keepAlive), thenClose: !keepAlive)
  }

  /// Begins a body without a length, to which bytes are pushed until either
  /// side ends it (RFC 9112 §6.3, rule 8): server-sent events, for example.
  ///
  /// - Parameter head: Status, type, fields and the beginning of the body.
  public func stream(_ head: PageAnswer, onEnd: @escaping @Sendable () -> Void = {}) -> MessageStream {
    answer.stream(head.under(terms).openBytes, onEnd: onEnd)
  }
}

/// What is spoken with one client of a page server: HTTP/1.1.
final class PageDialogue: Dialogue {
  private let place: Endpoint
  private let terms: PageTerms
  private let handler: PageServer.Handler

  /// A Unix socket has no address and port of its own: its clients name the usual ones.
  init(at place: Endpoint?, _ terms: PageTerms, handler: @escaping PageServer.Handler) {
    self.place = place ?? Endpoint(.v4(0x7f00_0001), .http)
    self.terms = terms
    self.handler = handler
  }

  func take(_ input: ArraySlice<UInt8>, resumingAt seen: Int, answer: Answer) throws(Refusal) -> Int? {
    do throws(PageRefusal) {
      let found = try PageRequest.parse(input, at: place, terms, resumingAt: seen)
      guard let (request, length) = found else { return nil }
      handler(request, PageReply(answer, to: request, terms))
      return length
    } catch {
      throw Refusal(error.answer.under(terms).bytes(headOnly: false, keepAlive: false))
    }
  }
}

extension PageAnswer {
  fileprivate func under(_ terms: PageTerms) -> PageAnswer {
    var copy = self
    copy.fields += terms.fields
    return copy
  }
}
