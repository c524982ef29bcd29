import Wire

/// Carries one message body from one framing to another: what comes in is
/// decoded, what goes out is framed anew, so no byte of the sender's framing
/// is ever passed on.
struct BodyTransfer {
  private let source: BodyFraming
  private let target: BodyFraming
  private var left: UInt64
  private var decoder = ChunkedDecoder()
  private(set) var isFinished: Bool

  /// - Parameters:
  ///   - source: How the sender frames the body.
  ///   - target: How the receiver is told; `chunked` needs HTTP/1.1 there.
  init(from source: BodyFraming, to target: BodyFraming) {
    self.source = source
    self.target = target
    left = if case .length(let length) = source { length } else { 0 }
    isFinished = source == .none || source == .length(0)
  }

  /// Moves what `input` holds of the body to `output`; bytes behind the body
  /// stay in `input`.
  ///
  /// - Throws: `ChunkError` when the chunked coding is broken.
  mutating func transfer(_ input: inout ArraySlice<UInt8>, into output: inout [UInt8]) throws(ChunkError) {
    guard !isFinished, !input.isEmpty else { return }
    switch source {
    case .none: isFinished = true
    case .untilClose:
      emit(input, into: &output)
      input = []
    case .length:
      let part = input.prefix(left > UInt64(input.count) ? input.count : Int(left))
      emit(part, into: &output)
      input = input.dropFirst(part.count)
      left -= UInt64(part.count)
      if left == 0 { finish(&output) }
    case .chunked:
      var decoded: [UInt8] = []
      try decoder.decode(&input, into: &decoded)
      emit(decoded[...], into: &output)
      if decoder.isFinished { finish(&output) }
    }
  }

  /// The sender closed its side.
  ///
  /// - Returns: false when the body was cut short.
  mutating func end(into output: inout [UInt8]) -> Bool {
    if case .untilClose = source, !isFinished { finish(&output) }
    return isFinished
  }

  private func emit(_ bytes: ArraySlice<UInt8>, into output: inout [UInt8]) {
    guard !bytes.isEmpty else { return }
    if target == .chunked {
      ChunkedEncoder.frame(bytes, into: &output)
    } else {
      output += bytes
    }
  }

  private mutating func finish(_ output: inout [UInt8]) {
    isFinished = true
    if target == .chunked { output += ChunkedEncoder.end }
  }
}
