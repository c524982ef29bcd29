import EventLoop

/// Bytes on their way to one channel that the socket has not taken yet.
struct OutgoingBytes {
  private var bytes: [UInt8] = []
  private var sent = 0

  var isEmpty: Bool { sent == bytes.count }

  /// What the socket has not taken yet.
  var unsent: [UInt8] { Array(bytes[sent...]) }

  mutating func append(_ more: [UInt8]) {
    if isEmpty {
      bytes = more
      sent = 0
    } else {
      bytes += more
    }
  }

  /// Writes as much as the socket takes; false when it is broken.
  mutating func flush(to channel: Channel) -> Bool {
    while !isEmpty {
      let result = bytes.withUnsafeBytes { channel.write(UnsafeRawBufferPointer(rebasing: $0[sent...])) }
      switch result {
      case .bytes(let count): sent += count
      case .wouldBlock: return true
      case .failed: return false
      }
    }
    bytes = []
    sent = 0
    return true
  }
}
