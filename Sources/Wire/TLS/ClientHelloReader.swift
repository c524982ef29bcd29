/// Puts a ClientHello together from the records and segments it came in. Each
/// byte is looked at once, however small the pieces are.
///
/// - Source: RFC 8446 §5.1 (records), §4 (handshake messages).
public struct ClientHelloReader: Sendable {
  private enum State {
    case header(ArraySlice<UInt8>)
    case fragment(remaining: Int)
    case complete
    case failed(ClientHelloError)
  }

  private var state = State.header([])
  /// The handshake message so far, with its four-byte header.
  private var message: [UInt8] = []
  /// Bytes of records so far, headers included.
  private var received = 0
  private let limit: Int

  /// What records may add to the message, in bytes: room for some 800 headers.
  static let maximumOverhead = 4096
  /// Of a record, in bytes (RFC 8446 §5.1).
  static let headerLength = 5
  /// The longest plaintext fragment in bytes (RFC 8446 §5.1).
  static let maximumFragment = 16384

  /// Makes a reader for a message of at most `limit` bytes.
  public init(limit: Int = 65536) {
    self.limit = limit
  }

  /// Takes the next bytes of the connection. What comes behind the hello is
  /// passed over.
  public mutating func append(_ bytes: ArraySlice<UInt8>) {
    var rest = bytes
    while !rest.isEmpty {
      switch state {
      case .header(let header): takeHeader(header, &rest)
      case .fragment(let remaining): takeFragment(remaining, &rest)
      case .complete, .failed: return
      }
    }
  }

  /// The hello, once all of it is there; nil when more bytes are needed.
  ///
  /// - Throws: `ClientHelloError`, as soon as the bytes that are there suffice.
  public mutating func read() throws(ClientHelloError) -> ClientHello? {
    switch state {
    case .failed(let error): throw error
    case .complete: return try ClientHello(body: message[4...])
    case .header, .fragment: return nil
    }
  }

  private mutating func takeHeader(_ header: ArraySlice<UInt8>, _ rest: inout ArraySlice<UInt8>) {
    let taken = rest.prefix(Self.headerLength - header.count), header = header + taken
    rest = rest.dropFirst(taken.count)
    state = .header(header)
    do throws(ClientHelloError) {
      guard let length = try recordLength(header) else { return }
      received += Self.headerLength + length
      guard received <= limit + Self.maximumOverhead else { throw .tooLarge }
      state = .fragment(remaining: length)
    } catch { state = .failed(error) }
  }

  /// The length of the record, once its header is complete.
  private func recordLength(_ header: ArraySlice<UInt8>) throws(ClientHelloError) -> Int? {
    var reader = ByteReader(header)
    let wrongRecord: ClientHelloError = message.isEmpty ? .notTLS : .malformed
    guard let type = reader.byte() else { return nil }
    guard type == 22 else { throw wrongRecord }
    guard let major = reader.byte() else { return nil }
    guard major == 3 else { throw wrongRecord }
    guard let minor = reader.byte() else { return nil }
    guard minor <= 4 else { throw wrongRecord }
    guard let length = reader.uint16() else { return nil }
    guard (1...Self.maximumFragment).contains(Int(length)) else { throw .malformed }
    return Int(length)
  }

  private mutating func takeFragment(_ remaining: Int, _ rest: inout ArraySlice<UInt8>) {
    let part = rest.prefix(remaining)
    rest = rest.dropFirst(part.count)
    message += part
    let left = remaining - part.count
    state = left == 0 ? .header([]) : .fragment(remaining: left)
    do throws(ClientHelloError) {
      guard let whole = try messageLength(message[...], limit: limit), message.count + left >= whole else {
        return
      }
      // A server refuses what shares a record with the hello (RFC 8446 §5.1).
      guard message.count + left == whole else { throw .malformed }
      if left == 0 { state = .complete }
    } catch { state = .failed(error) }
  }
}

/// The length of the handshake message with its header, once that is there.
private func messageLength(_ message: ArraySlice<UInt8>, limit: Int) throws(ClientHelloError) -> Int? {
  guard let type = message.first else { return nil }
  guard type == 1 else { throw .malformed }
  guard message.count >= 4 else { return nil }
  let length = message.dropFirst().prefix(3).reduce(0) { $0 << 8 | Int($1) }
  guard length + 4 <= limit else { throw .tooLarge }
  return length + 4
}

extension ClientHello {
  /// Reads the hello at the beginning of a connection from all bytes that came
  /// in so far. For bytes that trickle in, `ClientHelloReader` does not start
  /// over each time.
  ///
  /// - Returns: nil when more bytes are needed.
  /// - Throws: `ClientHelloError`.
  public static func parse(
    _ bytes: ArraySlice<UInt8>, limit: Int = 65536
  ) throws(ClientHelloError) -> ClientHello? {
    var reader = ClientHelloReader(limit: limit)
    reader.append(bytes)
    return try reader.read()
  }
}
