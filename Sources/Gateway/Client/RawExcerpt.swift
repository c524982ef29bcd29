/// The part of a malformed request that the log keeps: the authority it names,
/// so that no path, query, header or userinfo is written. A line that does not
/// look like a request keeps nothing: its words may be a password.
enum RawExcerpt {
  /// The most that is kept, in bytes.
  private static let limit = 256

  static func of(_ request: [UInt8]) -> [UInt8]? {
    let line = request.prefix { $0 != UInt8(ascii: "\n") }
    let words = line.split(separator: UInt8(ascii: " "), omittingEmptySubsequences: true)
    guard words.count == 3, words[2].starts(with: "HTTP/".utf8), words[0].allSatisfy(isLetter) else {
      return nil
    }
    guard let authority = authority(in: words[1], isConnect: words[0].elementsEqual("CONNECT".utf8)) else {
      return nil
    }
    return Array(withoutUserinfo(authority).prefix(limit))
  }

  /// What stands between the scheme and the path; nil where no place is named,
  /// or where what looks like the end of it may lie inside a password.
  private static func authority(in target: ArraySlice<UInt8>, isConnect: Bool) -> ArraySlice<UInt8>? {
    if isConnect, !target.contains(UInt8(ascii: "/")) { return target }
    guard let colon = target.firstIndex(of: UInt8(ascii: ":")), target[..<colon].allSatisfy(isLetter),
      target[colon...].starts(with: "://".utf8)
    else { return nil }
    let rest = target[(colon + 3)...]
    let authority = rest.prefix { !"/?#".utf8.contains($0) }
    return rest[authority.endIndex...].contains(UInt8(ascii: "@")) ? nil : authority
  }

  /// Whether a byte may stand in a method or a scheme, as all that are in use have it.
  private static func isLetter(_ byte: UInt8) -> Bool {
    (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte | 0x20)
  }

  private static func withoutUserinfo(_ authority: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
    guard let at = authority.lastIndex(of: UInt8(ascii: "@")) else { return authority }
    return authority[at...]
  }
}
