import Wire

/// Chunked bodies: the same in one piece, in two and byte by byte; never more
/// data than wire.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzChunked(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  let bytes = Array(UnsafeBufferPointer(start: start, count: count))
  let whole = decode(bytes, step: max(count, 1))
  precondition(whole.body.count <= count)
  for step in [1, 3, max(count / 2, 1)] {
    let pieces = decode(bytes, step: step)
    precondition(pieces.body == whole.body && pieces.error == whole.error && pieces.left == whole.left)
  }
  if whole.left != nil { checkRoundTrip(whole.body) }
  return 0
}

private func decode(_ wire: [UInt8], step: Int) -> (body: [UInt8], error: ChunkError?, left: Int?) {
  var decoder = ChunkedDecoder(), body: [UInt8] = [], start = 0
  while start < wire.count {
    let end = min(start + step, wire.count)
    var input = wire[start..<end]
    do { try decoder.decode(&input, into: &body) } catch { return (body, error, nil) }
    if decoder.isFinished { return (body, nil, wire.count - end + input.count) }
    start = end
  }
  return (body, nil, nil)
}

private func checkRoundTrip(_ body: [UInt8]) {
  var wire: [UInt8] = []
  ChunkedEncoder.frame(body[...], into: &wire)
  let result = decode(wire + ChunkedEncoder.end, step: 7)
  precondition(result.body == body && result.left == 0)
}
