import Addressing
import Wire

private let gate = [try? Authority("127.0.0.1:3128".utf8)].compactMap(\.self)

/// Request and response heads: in two pieces they are what they are in one, and
/// what is sent on reads as the same request.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzHTTPHead(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  let bytes = Array(UnsafeBufferPointer(start: start, count: count))
  for method in ["GET", "HEAD"] {
    let response = try? ResponseHead.parse(bytes[...], requestMethod: method, upgradeAsked: true)
    if let head = response?.head { _ = head.downstreamBytes(framing: head.framing, keepAlive: true) }
  }
  guard let (head, length) = try? RequestHead.parse(bytes[...]) else { return 0 }
  precondition(length <= count && length <= 16384)
  let cut = length / 2
  if (try? RequestHead.parse(bytes[..<cut])) != nil { preconditionFailure("half a head is one") }
  let again = try? RequestHead.parse(bytes[..<length], resumingAt: cut)
  precondition(again?.head == head)
  try? head.checkHost(gate: gate)
  _ = head.proxyAuthorization
  checkForwarding(head)
  return 0
}

private func checkForwarding(_ head: RequestHead) {
  guard case .absolute(let authority, let pathAndQuery) = head.target, pathAndQuery != "*" else { return }
  let prefix = Array("\(head.method) http://\(authority)".utf8)
  let sent = prefix + head.upstreamBytes(upgrade: true).dropFirst(head.method.utf8.count + 1)
  // What the gate adds may lift a head over the limits; it is not refused for anything else.
  do throws(RequestError) {
    let again = try RequestHead.parse(sent[...])
    precondition(again?.length == sent.count && again?.head.target == head.target)
    precondition(again?.head.framing == head.framing)
  } catch {
    precondition(error == RequestError.headTooLarge || error == .targetTooLong)
  }
}
