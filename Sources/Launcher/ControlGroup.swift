import Glibc
import SystemPackage

/// A control group of the host in which this user may make one for a command.
///
/// - Source: cgroups(7), "Cgroups delegation"; the kernel's admin-guide/cgroup-v2, "Delegation Containment".
public struct ControlGroupPlace: Hashable, Sendable {
  /// The controllers that hold a command to limits.
  public enum Controller: String, Hashable, Sendable, CaseIterable {
    case memory
    case processes = "pids"
  }

  /// Its directory.
  public var path: String
  /// What limits those in it.
  public var controllers: Set<Controller>

  /// Makes a place.
  public init(path: String, controllers: Set<Controller>) {
    (self.path, self.controllers) = (path, controllers)
  }

  /// The nearest group at or above this process's own that has a controller for those in it; nil where none was
  /// delegated. A process may be moved only beneath a group that its mover may write to, so all is asked of that one.
  ///
  /// - Parameters:
  ///   - mount: Where the one tree of control groups is.
  ///   - own: What `/proc/self/cgroup` says.
  public static func find(mount: String = "/sys/fs/cgroup", own: String? = nil) -> ControlGroupPlace? {
    let text = own ?? contents(of: "/proc/self/cgroup")
    let line = text.split(separator: "\n").first { $0.utf8.starts(with: "0::/".utf8) }
    guard let line, !line.split(separator: "/").contains("..") else { return nil }
    var path = Substring(mount + line.dropFirst(3))
    if path.last == "/" { path.removeLast() }
    while path.utf8.count >= mount.utf8.count {
      let found = controllers(of: String(path))
      if !found.isEmpty, access(String(path), W_OK) == 0, access("\(path)/cgroup.procs", W_OK) == 0 {
        return ControlGroupPlace(path: String(path), controllers: found)
      }
      path = path[..<(path.lastIndex(of: "/") ?? path.startIndex)]
    }
    return nil
  }

  private static func controllers(of path: String) -> Set<Controller> {
    let words = contents(of: "\(path)/cgroup.subtree_control").split { $0 == " " || $0 == "\n" }
    return Set(words.compactMap { Controller(rawValue: String($0)) })
  }

  /// The first 4 KiB of a file; nothing where it cannot be read.
  private static func contents(of path: String) -> String {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return "" }
    defer { close(descriptor) }
    var buffer = [UInt8](repeating: 0, count: 4096)
    let count = read(descriptor, &buffer, buffer.count)
    return String(decoding: buffer[..<max(0, count)], as: UTF8.self)
  }
}

/// The group of one command: it holds all of its processes together.
final class ControlGroup {
  /// What the names of all begin with; 64 random bits follow.
  private static let prefix = "exitgate-run-"
  /// How many names are tried: the first is free unless somebody wants it otherwise.
  private static let tries = 8

  private let parent: Int32
  /// Its directory, locked as long as its maker lives: until somebody has entered it, nothing else keeps it from being
  /// swept.
  private let lock: Int32
  private let members: Int32
  private let name: String

  /// Makes one; nobody is in it.
  init(_ limits: ProcessLimits, in place: ControlGroupPlace) throws(SandboxError) {
    let parent = try attempt(.limits, "open the control group \(place.path)") {
      open(place.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    }
    Self.sweep(place.path, parent)
    let name: String, lock: Int32
    do throws(Errno) { (name, lock) = try Self.make(in: parent) } catch {
      close(parent)
      throw SandboxError(.limits, "cannot make a control group in \(place.path): \(error)")
    }
    do throws(SandboxError) {
      try Self.set(limits, place.controllers, of: name, parent)
      members = try attempt(.limits, "open the control group \(name)") {
        openat(parent, "\(name)/cgroup.procs", O_WRONLY | O_CLOEXEC)
      }
    } catch {
      unlinkat(parent, name, AT_REMOVEDIR)
      for descriptor in [parent, lock] { close(descriptor) }
      throw error
    }
    (self.name, self.parent, self.lock) = (name, parent, lock)
  }

  /// A name that nobody else draws (getrandom(2)).
  static func drawName() -> String {
    let digits = String(UInt64.random(in: .min ... .max), radix: 16)
    return prefix + String(repeating: "0", count: 16 - digits.utf8.count) + digits
  }

  /// Makes the directory, under a name that nobody has.
  ///
  /// - Returns: Its name, and a descriptor that locks it.
  static func make(
    in parent: Int32, drawing draw: () -> String = drawName
  ) throws(Errno) -> (name: String, lock: Int32) {
    var problem = Errno.fileExists
    for _ in 0..<tries where problem == .fileExists {
      let name = draw()
      guard mkdirat(parent, name, 0o755) == 0 else {
        problem = lastErrno()
        continue
      }
      if let lock = lock(name, parent) { return (name, lock) }
      unlinkat(parent, name, AT_REMOVEDIR)
    }
    throw problem
  }

  /// - Returns: nil where somebody has it, or it is gone.
  private static func lock(_ name: String, _ parent: Int32) -> Int32? {
    let descriptor = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW)
    guard descriptor >= 0 else { return nil }
    // Whoever sweeps removes what they have locked, so what is still there once it is locked here stays.
    if flock(descriptor, LOCK_EX | LOCK_NB) == 0, faccessat(parent, name, F_OK, 0) == 0 { return descriptor }
    close(descriptor)
    return nil
  }

  private static func set(
    _ limits: ProcessLimits, _ controllers: Set<ControlGroupPlace.Controller>, of name: String,
    _ parent: Int32
  ) throws(SandboxError) {
    if let bytes = limits.memory, controllers.contains(.memory) {
      try write("\(bytes)", to: "memory.max", of: name, parent)
      // What is swapped out would count elsewhere; a kernel without swap has no such file.
      try? write("0", to: "memory.swap.max", of: name, parent)
    }
    if let count = limits.processes, controllers.contains(.processes) {
      // The first process of the sandbox is in it too.
      try write("\(count + 1)", to: "pids.max", of: name, parent)
    }
  }

  deinit { for descriptor in [parent, lock, members] { close(descriptor) } }

  /// Puts the calling process into it, and with it all that it starts.
  func enter() throws(SandboxError) {
    try attempt(.limits, "enter the control group") { Glibc.write(members, "0", 1) }
  }

  /// Removes it, once nobody is in it any more.
  func remove() { unlinkat(parent, name, AT_REMOVEDIR) }

  private static func write(
    _ text: String, to file: String, of name: String, _ parent: Int32
  ) throws(SandboxError) {
    let descriptor = try attempt(.limits, "open \(file)") {
      openat(parent, "\(name)/\(file)", O_WRONLY | O_CLOEXEC)
    }
    defer { close(descriptor) }
    let bytes = Array(text.utf8)
    try attempt(.limits, "write \(file)") { Glibc.write(descriptor, bytes, bytes.count) }
  }

  /// Removes what runs that were killed left. What its maker has locked stays, and so does what somebody is in
  /// (rmdir(2), EBUSY).
  static func sweep(_ path: String, _ parent: Int32) {
    guard let directory = opendir(path) else { return }
    defer { closedir(directory) }
    while let entry = readdir(directory) {
      let name = withUnsafeBytes(of: entry.pointee.d_name) {
        String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
      }
      guard name.utf8.starts(with: prefix.utf8), let lock = lock(name, parent) else { continue }
      unlinkat(parent, name, AT_REMOVEDIR)
      close(lock)
    }
  }
}
