import Addressing
import Wire

/// SOCKS5 messages: incomplete until the last byte, and never longer than what
/// was given.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzSOCKS(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  let bytes = Array(UnsafeBufferPointer(start: start, count: count))[...]
  if let (_, length) = try? SOCKSGreeting.parse(bytes) { precondition(length <= count) }
  if let (_, length) = try? SOCKSCredentials.parse(bytes) { precondition(length <= count) }
  guard let (request, length) = try? SOCKSRequest.parse(bytes) else { return 0 }
  precondition(length <= count && length <= 262)
  precondition((try? Authority(request.authority.description.utf8)) == request.authority)
  if (try? SOCKSRequest.parse(bytes.prefix(length - 1))) != nil { preconditionFailure("too short") }
  return 0
}
