import Glibc
import Synchronization
import SystemPackage

/// What system lists may see of the machine: its environment and its files.
struct Machine: Sendable {
  let environment: [String: String]
  /// Absolute.
  let workingDirectory: String
  /// Where `/` is; tests give a directory of fixtures.
  let root: FilePath
  /// Directories, without links, in which whoever the lists are to hold may write: nothing in them counts.
  let distrusted: [String]
  /// The files that were read, as they lie on disk.
  let files = ReadFiles()

  init(
    environment: [String: String], workingDirectory: String, root: String = "/",
    distrusting distrusted: [String] = []
  ) {
    self.environment = environment
    self.workingDirectory = workingDirectory
    self.root = FilePath(root)
    self.distrusted = distrusted
  }

  /// A variable's value; an empty one counts as unset.
  func variable(_ name: String) -> String? {
    environment[name].flatMap { $0.isEmpty ? nil : $0 }
  }

  /// `path` under the user's home, or nil without one.
  func home(_ path: String) -> String? {
    variable("HOME").map { join($0, path) }
  }

  /// `path` under the user's directory for configuration.
  ///
  /// - Source: XDG Base Directory Specification.
  func configuration(_ path: String) -> String? {
    variable("XDG_CONFIG_HOME").map { join($0, path) } ?? home(".config/" + path)
  }

  /// Reads a text file of the machine, or nil when there is none. What is not a
  /// plain file, or writable by everybody, is named in `notes` and not read.
  func text(_ path: String, _ notes: inout [SystemNote], limit: Int = Composer.sizeLimit) -> String? {
    let full = onDisk(path)
    guard access(full, F_OK) == 0 else { return nil }
    guard !isDistrusted(full) else {
      notes.append(
        SystemNote(
          cause: "\(quoted(path)) is left out: the command could change it",
          remedy: "Write what it names in rules of your own"))
      return nil
    }
    files.add(full)
    do {
      return String(decoding: try SafeFile.read(full, limit: limit).bytes, as: UTF8.self)
    } catch {
      notes.append(SystemNote(cause: "\(quoted(path)) is left out: \(error.cause)", remedy: error.remedy))
      return nil
    }
  }

  func exists(_ path: String) -> Bool { access(onDisk(path), F_OK) == 0 }

  /// The names in a directory, sorted; empty when it cannot be read.
  func names(in directory: String) -> [String] {
    guard !isDistrusted(onDisk(directory)), let stream = opendir(onDisk(directory)) else { return [] }
    defer { closedir(stream) }
    var names: [String] = []
    while let entry = readdir(stream) {
      let name = withUnsafeBytes(of: &entry.pointee.d_name) {
        String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
      }
      if !name.utf8.starts(with: ".".utf8) { names.append(name) }
    }
    return names.sorted()
  }

  /// Where a command is that `PATH` names, links followed; nil when there is none.
  func command(_ name: String) -> String? {
    for directory in (variable("PATH") ?? "").split(separator: ":") {
      let path = join(String(directory), name)
      if !isDistrusted(onDisk(path)), let target = realPath(path) { return target }
    }
    return nil
  }

  /// The path behind all links, as seen from `root`.
  func realPath(_ path: String) -> String? {
    guard let resolved = realpath(onDisk(path), nil), let base = realpath(root.string, nil) else {
      return nil
    }
    defer {
      free(resolved)
      free(base)
    }
    var target = FilePath(String(cString: resolved))
    if root != "/" {
      guard target.removePrefix(FilePath(String(cString: base))) else { return nil }
      return "/" + target.string
    }
    return target.string
  }

  /// Whether it lies where nothing counts, or leads there, or is a link that lies there.
  private func isDistrusted(_ path: String) -> Bool {
    guard !distrusted.isEmpty else { return false }
    let above = FilePath(path).removingLastComponent()
    let places = [path, resolved(path), resolved(above.string).map { "\($0)/" }].compactMap(\.self)
    return distrusted.contains { directory in
      places.contains { $0 == directory || $0.utf8.starts(with: "\(directory)/".utf8) }
    }
  }

  private func resolved(_ path: String) -> String? {
    guard let resolved = realpath(path, nil) else { return nil }
    defer { free(resolved) }
    return String(cString: resolved)
  }

  private func onDisk(_ path: String) -> String {
    root.appending(FilePath(path).lexicallyNormalized().components).string
  }
}

/// Files that were read.
final class ReadFiles: Sendable {
  private let paths = Mutex<Set<String>>([])

  func add(_ path: String) { paths.withLock { _ = $0.insert(path) } }

  var all: [String] { paths.withLock { $0.sorted() } }
}

/// Puts a path behind a directory.
func join(_ directory: String, _ path: String) -> String {
  FilePath(directory).pushing(FilePath(path)).lexicallyNormalized().string
}

/// `levels` directories up.
func parent(of path: String, levels: Int = 1) -> String {
  var result = FilePath(path)
  for _ in 0..<levels { result.removeLastComponent() }
  return result.string
}
