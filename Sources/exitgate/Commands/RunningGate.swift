import Control
import EventLoop

/// A running gate, spoken to through its control socket.
struct RunningGate {
  var controlPath: String

  /// Asks, and waits for the answer.
  ///
  /// - Throws: `Failure` when nobody answers or the answer makes no sense.
  func ask(_ request: ControlRequest) throws(Failure) -> ControlReply {
    let reply = try replies(request).first ?? .refused("it says nothing")
    if case .refused(let why) = reply { throw Failure(.host, "the gate refuses: \(why).") }
    return reply
  }

  /// Asks, and waits for every line of the answer.
  ///
  /// - Parameter timeout: A reload reads files; nothing takes longer than this on a gate that works.
  func replies(_ request: ControlRequest, timeout: Duration = .seconds(60)) throws(Failure) -> [ControlReply]
  {
    let bytes: [UInt8]
    do {
      bytes = try UnixClient.exchange(path: controlPath, request: request.line(), timeout: timeout)
    } catch { throw silence(error) }
    var replies: [ControlReply] = []
    for line in bytes.split(separator: UInt8(ascii: "\n")) { replies.append(try read(Array(line))) }
    return replies
  }

  /// Asks, and takes one line after the other until `take` answers false, `isWanted` does, or the gate ends it.
  func follow(
    _ request: ControlRequest, while isWanted: (() -> Bool)? = nil,
    _ take: (ControlReply) throws(Failure) -> Bool
  ) throws(Failure) {
    let lines: UnixLines
    do { lines = try UnixLines(path: controlPath, request: request.line()) } catch { throw silence(error) }
    while true {
      let line: [UInt8]?
      do { line = try lines.next(while: isWanted) } catch { throw silence(error) }
      guard let line else { return }
      let reply = try read(line)
      // On a connection of its own: what is sent on this one ends it. One that is not heard is asked again.
      if case .beat(let number) = reply {
        _ = try? replies(.here(number), timeout: .seconds(5))
        continue
      }
      guard try take(reply) else { return }
    }
  }

  private func read(_ line: [UInt8]) throws(Failure) -> ControlReply {
    do { return try ControlReply(line: line) } catch {
      throw Failure(.host, "the gate's answer makes no sense: \(error). Use the same version on both sides.")
    }
  }

  private func silence(_ error: UnixClientError) -> Failure {
    Failure(
      .host,
      "no gate answers at '\(controlPath)': \(sentence(for: error)). Start one with 'exitgate serve', "
        + "or name its socket with --control.")
  }
}

private func sentence(for error: UnixClientError) -> String {
  switch error {
  case .badPath: "the path is empty or longer than 107 bytes"
  case .stranger(let user): "user \(user) answers there, who is neither root nor you"
  case .unreachable(let error), .failed(let error): "\(error)"
  case .timedOut: "it takes too long"
  case .tooLong: "the answer is too long"
  }
}
