/// Builds ClientHello messages and the records around them, well-formed or not
/// (RFC 8446 §4.1.2, §5.1; RFC 6066 §3).
enum Hello {
  static func uint16(_ number: Int) -> [UInt8] {
    [UInt8(truncatingIfNeeded: number >> 8), UInt8(truncatingIfNeeded: number)]
  }

  static func extended(_ type: Int, _ content: [UInt8]) -> [UInt8] {
    uint16(type) + uint16(content.count) + content
  }

  /// A server_name extension with these (type, name) entries.
  static func serverNames(_ entries: [(type: UInt8, name: String)]) -> [UInt8] {
    let list = entries.flatMap { [$0.type] + uint16($0.name.utf8.count) + Array($0.name.utf8) }
    return extended(0, uint16(list.count) + list)
  }

  static func serverName(_ name: String) -> [UInt8] { serverNames([(0, name)]) }

  /// The handshake message; `padding` bytes of extension come first.
  static func message(_ extensions: [[UInt8]], padding: Int = 0, session: Int = 0) -> [UInt8] {
    let first = padding > 0 ? [extended(21, [UInt8](repeating: 0, count: padding))] : []
    let usual = [extended(10, [0, 6, 0, 29, 0, 23, 0, 24]), extended(11, [1, 0])]
    let all = (first + extensions + usual).flatMap { $0 }
    let random = (0..<32).map { UInt8($0) }, sessionID = [UInt8](repeating: 7, count: session)
    let body =
      [3, 3] + random + [UInt8(truncatingIfNeeded: session)] + sessionID + uint16(4) + [
        0xc0, 0x2b, 0xc0, 0x2f,
      ]
      + [1, 0] + uint16(all.count) + all
    return [1, UInt8(truncatingIfNeeded: body.count >> 16)] + uint16(body.count & 0xffff) + body
  }

  /// `message` in records of at most `size` bytes.
  static func records(_ message: [UInt8], size: Int = 16000) -> [UInt8] {
    stride(from: 0, to: message.count, by: size).flatMap { start in
      let part = message[start..<min(start + size, message.count)]
      return [22, 3, 1] + uint16(part.count) + part
    }
  }
}
