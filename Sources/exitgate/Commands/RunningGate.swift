import Control
import EventLoop

/// A running gate, spoken to through its control socket.
struct RunningGate {
  var controlPath: String

  /// Asks, and waits for the answer.
  ///
  /// - Throws: `Failure` when nobody answers or the answer makes no sense.
  func ask(_ request: ControlRequest) throws(Failure) -> ControlReply {
    let bytes: [UInt8]
    do {
      // A reload reads files; nothing takes longer than this on a gate that works.
      bytes = try UnixClient.exchange(path: controlPath, request: request.line(), timeout: .seconds(60))
    } catch {
      throw Failure(
        .host,
        "no gate answers at '\(controlPath)': \(sentence(for: error)). Start one with 'exitgate serve', "
          + "or name its socket with --control.")
    }
    let line = bytes.prefix { $0 != UInt8(ascii: "\n") }
    let reply: ControlReply
    do { reply = try ControlReply(line: Array(line)) } catch {
      throw Failure(.host, "the gate's answer makes no sense: \(error). Use the same version on both sides.")
    }
    if case .refused(let why) = reply { throw Failure(.host, "the gate refuses: \(why).") }
    return reply
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
