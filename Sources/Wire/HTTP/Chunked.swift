/// Why a chunked body is refused.
public enum ChunkError: Error, Hashable, Sendable {
  /// No hexadecimal digit, a sign, a prefix, white space, or more than
  /// `Int64.max` bytes.
  case size
  /// A CR LF is missing, or one of the two stands alone.
  case lineEnd
  /// Extensions or trailers hold a control byte.
  case content
  /// Extensions of more than 4 KiB, or trailers of more than 8 KiB, in the whole body.
  case tooLarge
}

/// Takes a chunked body apart (RFC 9112 §7.1). Extensions and trailers are
/// checked and dropped. Its memory does not grow with the input.
public struct ChunkedDecoder: Hashable, Sendable {
  private enum State: Hashable {
    case size(digits: Int), extensions, sizeLineFeed, data, dataReturn, dataLineFeed
    case trailerStart, trailer, trailerLineFeed, finalLineFeed, finished
  }

  private var state = State.size(digits: 0)
  /// Bytes of the chunk that are still to come.
  private var remaining: UInt64 = 0
  private var extensionBytes = 0
  private var trailerBytes = 0

  /// In bytes, all chunks together; nobody uses extensions honestly.
  static let maximumExtensions = 4096
  /// In bytes; as much as a start line may measure.
  static let maximumTrailers = 8192
  /// 16 digits hold 64 bits; more would be padding.
  static let maximumSizeDigits = 16

  /// Makes a decoder before the first chunk.
  public init() {}

  /// Whether the last chunk and its trailers were read; what follows in the
  /// input belongs to the next message.
  public var isFinished: Bool { state == .finished }

  /// Reads as much of `input` as there is, up to the end of the body, removes
  /// it there and appends the data to `output`.
  ///
  /// - Throws: `ChunkError`; the connection is then of no more use.
  public mutating func decode(
    _ input: inout ArraySlice<UInt8>, into output: inout [UInt8]
  ) throws(ChunkError) {
    while !isFinished, let byte = input.first {
      if state == .data {
        takeData(&input, into: &output)
      } else {
        input.removeFirst()
        try take(byte)
      }
    }
  }

  private mutating func takeData(_ input: inout ArraySlice<UInt8>, into output: inout [UInt8]) {
    let count = Int(min(remaining, UInt64(input.count)))
    output += input.prefix(count)
    input.removeFirst(count)
    remaining -= UInt64(count)
    if remaining == 0 { state = .dataReturn }
  }

  private mutating func take(_ byte: UInt8) throws(ChunkError) {
    switch state {
    case .size(let digits): try takeSize(byte, digits: digits)
    case .extensions: try takeExtension(byte)
    case .sizeLineFeed: try expect(byte, lineFeed, then: remaining == 0 ? .trailerStart : .data)
    case .dataReturn: try expect(byte, carriageReturn, then: .dataLineFeed)
    case .dataLineFeed: try expect(byte, lineFeed, then: .size(digits: 0))
    case .trailerStart, .trailer: try takeTrailer(byte)
    case .trailerLineFeed: try expect(byte, lineFeed, then: .trailerStart)
    case .finalLineFeed: try expect(byte, lineFeed, then: .finished)
    case .data, .finished: break
    }
  }

  private mutating func expect(_ byte: UInt8, _ wanted: UInt8, then next: State) throws(ChunkError) {
    guard byte == wanted else { throw .lineEnd }
    state = next
  }

  private mutating func takeSize(_ byte: UInt8, digits: Int) throws(ChunkError) {
    if let digit = hexDigit(byte) {
      guard digits < Self.maximumSizeDigits, remaining <= UInt64(Int64.max) >> 4 else { throw .size }
      remaining = remaining << 4 | UInt64(digit)
      state = .size(digits: digits + 1)
      return
    }
    guard digits > 0 else { throw .size }
    switch byte {
    case UInt8(ascii: ";"): state = .extensions
    case carriageReturn: state = .sizeLineFeed
    case lineFeed: throw .lineEnd
    default: throw .size
    }
  }

  private mutating func takeExtension(_ byte: UInt8) throws(ChunkError) {
    extensionBytes += 1
    guard extensionBytes <= Self.maximumExtensions else { throw .tooLarge }
    if byte == carriageReturn {
      state = .sizeLineFeed
    } else if byte == lineFeed {
      throw .lineEnd
    } else if !isFieldContent(byte) {
      throw .content
    }
  }

  private mutating func takeTrailer(_ byte: UInt8) throws(ChunkError) {
    trailerBytes += 1
    guard trailerBytes <= Self.maximumTrailers else { throw .tooLarge }
    if byte == carriageReturn {
      state = state == .trailerStart ? .finalLineFeed : .trailerLineFeed
    } else if byte == lineFeed {
      throw .lineEnd
    } else if !isFieldContent(byte) || state == .trailerStart && !isToken(byte) {
      throw .content
    } else {
      state = .trailer
    }
  }
}

private func hexDigit(_ byte: UInt8) -> UInt8? {
  switch byte {
  case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
  case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
  case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
  default: nil
  }
}

/// Puts a body into chunks (RFC 9112 §7.1).
public enum ChunkedEncoder {
  /// Appends one chunk; nothing for no bytes, since an empty chunk is the end.
  public static func frame(_ bytes: ArraySlice<UInt8>, into output: inout [UInt8]) {
    guard !bytes.isEmpty else { return }
    output += String(bytes.count, radix: 16).utf8
    output += [carriageReturn, lineFeed]
    output += bytes
    output += [carriageReturn, lineFeed]
  }

  /// The last chunk, without trailers.
  public static let end: [UInt8] = Array("0\r\n\r\n".utf8)
}
