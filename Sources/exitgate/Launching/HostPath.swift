import Glibc

/// A path of the host: the links on its way, and where it ends.
///
/// - Source: path_resolution(7).
struct HostPath: Hashable {
  /// How many links there may be on one way.
  private static let most = 40

  /// The links, where they lie.
  private(set) var links: [String] = []
  /// Absolute, without links, `.` and `..`.
  private(set) var end = ""

  /// - Parameters:
  ///   - path: As somebody wrote it.
  ///   - directory: What it is relative to; absolute.
  init(_ path: String, from directory: String) {
    var rest = Self.parts(path.utf8.first == UInt8(ascii: "/") ? path : "\(directory)/\(path)")
    while let part = rest.popLast() {
      guard part != ".." else {
        end = String(end[..<(end.lastIndex(of: "/") ?? end.startIndex)])
        continue
      }
      let next = "\(end)/\(part)"
      guard links.count < Self.most, let target = linkTarget(next) else {
        end = next
        continue
      }
      links.append(next)
      if target.utf8.first == UInt8(ascii: "/") { end = "" }
      rest += Self.parts(target)
    }
    if end.isEmpty { end = "/" }
  }

  /// The last first.
  private static func parts(_ path: String) -> [Substring] {
    path.split(separator: "/").filter { $0 != "." }.reversed()
  }
}

/// Whether something lies at a path, be it a link that leads nowhere (lstat(2)).
func isThere(_ path: String) -> Bool {
  var status = stat()
  return lstat(path, &status) == 0
}

/// Where a link leads; nil for what is none (readlink(2)).
func linkTarget(_ path: String) -> String? {
  var bytes = [UInt8](repeating: 0, count: Int(PATH_MAX))
  let count = readlink(path, &bytes, bytes.count)
  return count > 0 ? String(decoding: bytes[..<count], as: UTF8.self) : nil
}
