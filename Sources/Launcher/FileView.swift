import Confinement

/// Which files of the host a command sees, and what it may do with them; what
/// is not named is not there.
public struct FileView: Hashable, Sendable {
  /// What is at a path.
  public enum Access: Hashable, Sendable {
    /// The host's, to read and to run.
    case read
    /// The host's, to change as well.
    case write
    /// Nothing: an empty file or directory in place of the host's.
    case hidden
    /// A directory of the sandbox's own, empty at the start and gone at the end.
    case own
  }

  /// Who says what is at a path.
  public enum Origin: Hashable, Sendable {
    /// Every sandbox has the programs and settings of the system to read.
    case system
    /// No sandbox has these of them.
    case systemSecrets
    /// Every sandbox has these directories for itself.
    case scratch
    /// Every sandbox has a home for itself.
    case home
    /// What programs keep of a person's secrets is seen only where it is named itself.
    case credentials
    /// Where the command starts.
    case workingDirectory
    /// A policy in reach stays as it is.
    case policyItself
    /// The policy says so: under which key of `files`, as `file:line`.
    case policy(key: String, place: String)
    /// The command line says so, by this option.
    case option(String)
  }

  /// One path.
  public struct Entry: Hashable, Sendable {
    public var path: String
    public var access: Access
    public var origin: Origin
  }

  private var words: [String: Entry] = [:]
  /// Paths that nothing is moved away from.
  private var pinned: Set<String> = []
  /// Links that the host has at the root, as `/bin` to `usr/bin`.
  public var links: [String: String] = [:]
  /// What stands in /etc/resolv.conf; nil leaves the host's.
  public var resolverFile: String?

  /// Makes a view of nothing.
  public init() {}

  /// Says what is at a path; the last word counts, and deeper paths count over those above.
  ///
  /// - Parameter path: Absolute, without links, `.` and `..`.
  public mutating func set(_ access: Access, at path: String, by origin: Origin = .system) {
    words[path] = Entry(path: path, access: access, origin: origin)
  }

  /// Makes a path readable and no more, wherever it is, and keeps it and the
  /// directories above it where they are: what can be moved can be replaced.
  public mutating func pin(_ path: String, by origin: Origin = .system) {
    set(.read, at: path, by: origin)
    keepPlace(of: path)
  }

  /// Keeps what is hidden where it is: what could be moved would be seen the next time.
  public mutating func keepHidden() {
    for entry in words.values where entry.access == .hidden {
      if nearest(above: entry.path, orAt: false)?.access == .write { keepPlace(of: entry.path) }
    }
  }

  /// Nothing counts any more that was said about this path itself.
  public mutating func forget(_ path: String) { words[path] = nil }

  private mutating func keepPlace(of path: String) {
    var rest = path[...]
    while let slash = rest.lastIndex(of: "/"), slash != rest.startIndex {
      rest = rest[..<slash]
      guard let above = nearest(above: String(rest), orAt: true), above.access == .write,
        above.path != rest
      else { return }
      set(.write, at: String(rest), by: above.origin)
      pinned.insert(String(rest))
    }
  }

  /// Says what is at a path, as a person means it: what is to be read within what may be changed stays where it is.
  public mutating func give(_ access: Access, at path: String, by origin: Origin = .system) {
    if access == .read, self.access(to: path) == .write {
      pin(path, by: origin)
    } else {
      set(access, at: path, by: origin)
    }
  }

  /// What somebody said about this path itself.
  public subscript(path: String) -> Access? { words[path]?.access }

  /// What a command finds at a path: what the nearest path above it, or itself, was given.
  public func access(to path: String) -> Access {
    nearest(above: path, orAt: true)?.access ?? .hidden
  }

  /// The entries that mean something, those above before those below.
  public var entries: [Entry] {
    words.values
      .filter { entry in
        // Nothing need be hidden where nothing is seen, and nothing be shown that is.
        let above = nearest(above: entry.path, orAt: false)?.access ?? .hidden
        return entry.access != above || entry.access == .own || pinned.contains(entry.path)
      }
      .sorted { (Self.depth($0.path), $0.path) < (Self.depth($1.path), $1.path) }
  }

  /// What was said of a path and of those above it, the highest first; the last counts.
  public func lineage(of path: String) -> [Entry] {
    var found: [Entry] = [], next = nearest(above: path, orAt: true)
    while let entry = next {
      found.append(entry)
      next = nearest(above: entry.path, orAt: false)
    }
    return found.reversed()
  }

  private func nearest(above path: String, orAt: Bool) -> Entry? {
    if orAt, let entry = words[path] { return entry }
    var rest = path[...]
    while let slash = rest.lastIndex(of: "/"), rest != "/" {
      rest = slash == rest.startIndex ? "/" : rest[..<slash]
      if let entry = words[String(rest)] { return entry }
    }
    return nil
  }

  private static func depth(_ path: String) -> Int { path == "/" ? 0 : path.utf8.count { $0 == 0x2f } }

  /// Whether one path is the other, or lies beneath it.
  public static func contains(_ above: String, _ path: String) -> Bool {
    above == "/" || path == above || path.utf8.starts(with: "\(above)/".utf8)
  }
}

extension FileView {
  /// The same for Landlock, which holds where the mounts would not: for what is mounted later, and for devices.
  var landlock: LandlockRuleset {
    var rules = LandlockRuleset()
    rules.allow(.readDirectory, beneath: "/")
    for entry in entries {
      switch entry.access {
      case .read: rules.allow([.read, .execute], beneath: entry.path)
      case .write, .own: rules.allow(.everything, beneath: entry.path)
      case .hidden: continue
      }
    }
    rules.allow(.read, beneath: "/proc")
    rules.allow(.read, beneath: "/sys")
    rules.allow([.readFile, .writeFile, .readDirectory, .truncate, .deviceControl], beneath: "/dev")
    rules.allow(.everything, beneath: "/dev/shm")
    return rules
  }
}

extension FileView {
  /// The devices that there are.
  static let devices = ["null", "zero", "full", "random", "urandom", "tty"]
  /// Links to devices and descriptors.
  static let deviceLinks = [
    ("fd", "/proc/self/fd"), ("stdin", "fd/0"), ("stdout", "fd/1"), ("stderr", "fd/2"), ("ptmx", "pts/ptmx"),
  ]

  /// What there is beneath `/proc`, `/sys` and `/dev`, which every sandbox has of its own; nil elsewhere.
  public static func accessToKernels(_ path: String) -> Access? {
    if contains("/proc", path) || contains("/sys", path) { return .own }
    guard contains("/dev", path) else { return nil }
    let directories = ["pts", "shm"], names = devices + deviceLinks.map(\.0) + directories
    let isOne =
      path == "/dev" || names.contains { path == "/dev/\($0)" }
      || directories.contains { contains("/dev/\($0)", path) }
    return isOne ? .own : .hidden
  }
}
