import Wire

/// ClientHellos: the same in one piece, byte by byte, and when the message is
/// cut into other records.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzClientHello(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  let bytes = Array(UnsafeBufferPointer(start: start, count: count))
  let whole = read(bytes, step: max(count, 1))
  precondition(whole == read(bytes, step: 1))
  // The input once more as a bare message, so that its parts are reached
  // without guessing lengths.
  let message =
    [
      1, UInt8(truncatingIfNeeded: count >> 16), UInt8(truncatingIfNeeded: count >> 8),
      UInt8(truncatingIfNeeded: count),
    ] + bytes
  let large = read(records(message, size: 16384), step: 4096)
  if count < 800 { precondition(large == read(records(message, size: 1), step: 4096)) }
  if case .success(let hello?) = large { precondition(hello.alpn.count <= 16) }
  return 0
}

private func records(_ message: [UInt8], size: Int) -> [UInt8] {
  stride(from: 0, to: message.count, by: size).flatMap { start in
    let part = message[start..<min(start + size, message.count)]
    return [22, 3, 1, UInt8(truncatingIfNeeded: part.count >> 8), UInt8(truncatingIfNeeded: part.count)]
      + part
  }
}

private func read(_ wire: [UInt8], step: Int) -> Result<ClientHello?, ClientHelloError> {
  var reader = ClientHelloReader()
  for start in stride(from: 0, to: wire.count, by: step) {
    reader.append(wire[start..<min(start + step, wire.count)])
  }
  return Result { () throws(ClientHelloError) in try reader.read() }
}
