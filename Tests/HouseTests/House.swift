import Foundation

/// The checkout the tests run in.
enum House {
  static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent()

  static func text(_ path: String) throws -> String {
    try String(contentsOf: root.appending(path: path), encoding: .utf8)
  }

  /// The files below `folder` with one of `extensions`, relative to the root, in order.
  static func files(in folder: String, _ extensions: Set<String>) -> [String] {
    let base = root.appending(path: folder)
    let paths = FileManager.default.enumerator(atPath: base.path())?.compactMap { $0 as? String } ?? []
    return paths.filter { extensions.contains(URL(filePath: $0).pathExtension) }.sorted().map {
      "\(folder)/\($0)"
    }
  }

  static let sources = files(in: "Sources", ["swift"])

  /// The binary beside the test bundle, or the one that the environment names.
  static var binary: URL? {
    if let path = ProcessInfo.processInfo.environment["EXITGATE_BINARY"] { return URL(filePath: path) }
    let executable = URL(filePath: "/proc/self/exe").resolvingSymlinksInPath()
    let candidates = [executable.deletingLastPathComponent(), root.appending(path: ".build/debug")]
      .map { $0.appending(path: "exitgate") }
    return candidates.first { FileManager.default.isExecutableFile(atPath: $0.path()) }
  }

  /// The target a source file belongs to.
  static func target(of path: String) -> String {
    String(path.split(separator: "/")[1])
  }

  /// The modules a file imports.
  static func imports(of path: String) throws -> [String] {
    try text(path).split(separator: "\n").compactMap { line in
      let words = line.split(separator: " ")
      guard let index = words.firstIndex(of: "import"), index <= 2, !line.hasPrefix("//"),
        words.count > index + 1
      else { return nil }
      return String(words[index + 1].split(separator: ".")[0])
    }
  }
}
