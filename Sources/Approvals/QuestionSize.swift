import Addressing
import Policy

extension PendingQuestion {
  /// What its places take in a message at most, in bytes.
  var size: Int { members.reduce(0) { $0 + $1.size } }
}

extension PendingQuestion.Member {
  /// What it takes in a message at most, in bytes, its names of fields among them.
  var size: Int {
    let texts = [
      key.destination.host.description, key.request?.method, key.request?.path, rule?.text, candidate,
    ]
    return texts.reduce(Self.fields) { $0 + ($1.map(escapedSize) ?? 0) }
  }

  /// Names of fields, quotes, commas, the port, the protocol and what leave is called.
  private static let fields = 256
}

/// The length of a JSON string in ASCII: what is not printable takes six bytes for each unit of UTF-16.
///
/// - Source: RFC 8259 §7.
private func escapedSize(_ text: String) -> Int {
  text.utf16.reduce(0) { size, unit in
    switch unit {
    case 0x22, 0x5c: size + 2
    case 0x20...0x7e: size + 1
    default: size + 6
    }
  }
}
