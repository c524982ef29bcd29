import CLinux
import Glibc
import SystemPackage

/// Builds the file system that a view describes, in the mount namespace of the
/// calling thread, and makes it the root.
///
/// Everything is made beside the host's, on file systems in memory; then the
/// host's is let go of, and there is no way back to it.
///
/// - Source: mount_namespaces(7), pivot_root(2).
struct FileSystem {
  private static let old = "/old"
  private static let new = "/new"
  private static let empty = "/empty"
  private static let cover = "/cover"

  private let view: FileView
  private let weaker: Set<SandboxPart>

  init(_ view: FileView, allowing weaker: Set<SandboxPart>) {
    (self.view, self.weaker) = (view, weaker)
  }

  /// - Precondition: The thread is root in a user namespace that owns its mount
  ///   namespace, and alone in a new process namespace.
  func enter() throws(SandboxError) {
    try begin()
    for (path, target) in view.links.sorted(by: { $0.key < $1.key }) {
      if let slash = path.lastIndex(of: "/") { try make(directory: Self.new + path[..<slash]) }
      try attempt(.files, "make the link \(path)") { symlink(target, Self.new + path) }
    }
    for entry in view.entries { try put(entry) }
    try putKernelsOwn()
    try putDevices()
    try putResolverFile()
    try finish()
  }

  // MARK: - Around

  /// A file system in memory becomes the root, with the host's at `/old` and what becomes the new one at `/new`.
  private func begin() throws(SandboxError) {
    try mount("none", "/", nil, LINUX_MOUNT_PRIVATE_ALL, nil, "keep mounts to itself")
    try mount(
      "tmpfs", "/tmp", "tmpfs", LINUX_MOUNT_NO_SUID | LINUX_MOUNT_NO_DEVICES, "mode=755", "mount /tmp")
    for directory in [Self.old, Self.new] { try make(directory: "/tmp" + directory) }
    try make(file: "/tmp" + Self.empty)
    try attempt(.files, "change the root") { linux_pivot_root("/tmp", "/tmp" + Self.old) }
    try attempt(.files, "change to the root") { chdir("/") }
    try mount(
      "tmpfs", Self.new, "tmpfs", LINUX_MOUNT_NO_SUID | LINUX_MOUNT_NO_DEVICES, "mode=755", "mount a new root"
    )
  }

  private func finish() throws(SandboxError) {
    try attempt(.files, "make the root read-only") {
      linux_mount_set(Self.new, UInt64(LINUX_ATTRIBUTE_READ_ONLY), 0)
    }
    try attempt(.files, "let go of the host's files") { linux_detach(Self.old) }
    try attempt(.files, "change to the new root") { chdir(Self.new) }
    // The root below itself, and then taken away from under it.
    try attempt(.files, "make it the root") { linux_pivot_root(".", ".") }
    try attempt(.files, "let go of the old root") { linux_detach(".") }
    try attempt(.files, "change to the root") { chdir("/") }
  }

  // MARK: - Entries

  private func put(_ entry: FileView.Entry) throws(SandboxError) {
    let target = Self.new + entry.path
    switch entry.access {
    case .own:
      try make(directory: target)
      let mode = entry.path.hasSuffix("/tmp") ? "mode=1777" : "mode=700"
      try mount(
        "tmpfs", target, "tmpfs", LINUX_MOUNT_NO_SUID | LINUX_MOUNT_NO_DEVICES, mode, "mount \(entry.path)")
    case .read, .write: try bind(entry.path, isReadOnly: entry.access == .read)
    case .hidden: try cover(entry.path)
    }
  }

  private func bind(_ path: String, isReadOnly: Bool) throws(SandboxError) {
    guard let source = try Place(Self.old + path) else { return }
    let target = Self.new + path,
      above = view.access(to: String(path[..<(path.lastIndex(of: "/") ?? path.startIndex)]))
    // In what is the host's there is nothing to make, and whoever may change it could have it made elsewhere.
    if above == .hidden || above == .own {
      if source.isDirectory { try make(directory: target) } else { try make(file: target) }
    }
    var attributes = LINUX_ATTRIBUTE_NO_SUID | LINUX_ATTRIBUTE_NO_DEVICES
    if isReadOnly { attributes |= LINUX_ATTRIBUTE_READ_ONLY }
    guard let place = try Place(target) else { throw SandboxError(.files, "\(path) went away") }
    try place.show(source, attributes, "show \(path)")
  }

  private func cover(_ path: String) throws(SandboxError) {
    guard let place = try Place(Self.new + path) else { return }
    guard place.isDirectory else {
      guard let empty = try Place(Self.empty) else { throw SandboxError(.files, "\(Self.empty) went away") }
      return try place.show(empty, LINUX_ATTRIBUTE_READ_ONLY, "hide \(path)")
    }
    try make(directory: Self.cover)
    let flags = LINUX_MOUNT_NO_SUID | LINUX_MOUNT_NO_DEVICES
    try mount("tmpfs", Self.cover, "tmpfs", flags, "mode=755", "hide \(path)")
    guard let cover = try Place(Self.cover) else { throw SandboxError(.files, "\(Self.cover) went away") }
    try place.show(cover, 0, "hide \(path)")
    try attempt(.files, "hide \(path)") { linux_detach(Self.cover) }
  }

  // MARK: - The kernel's own

  private func putKernelsOwn() throws(SandboxError) {
    try make(directory: Self.new + "/proc")
    let flags = LINUX_MOUNT_NO_SUID | LINUX_MOUNT_NO_DEVICES | LINUX_MOUNT_NO_EXEC
    do {
      // The process that started the command is not its own, and not seen. Linux 5.8 has a word that holds for
      // group 0 as well.
      do {
        try mount("proc", Self.new + "/proc", "proc", flags, "hidepid=ptraceable", "mount /proc", of: .proc)
      } catch {
        try mount("proc", Self.new + "/proc", "proc", flags, "hidepid=2", "mount /proc", of: .proc)
      }
      try attempt(.proc, "protect /proc") {
        linux_mount_set(Self.new + "/proc", UInt64(LINUX_ATTRIBUTE_READ_ONLY), 0)
      }
    } catch {
      guard weaker.contains(.proc) else { throw error }
    }
    try make(directory: Self.new + "/sys")
    // Few programs read it, and each does without: where the kernel refuses it, there is none.
    try? mount("sysfs", Self.new + "/sys", "sysfs", flags | LINUX_MOUNT_READ_ONLY, nil, "mount /sys")
  }

  private func putDevices() throws(SandboxError) {
    let devices = Self.new + "/dev"
    try make(directory: devices)
    try mount("tmpfs", devices, "tmpfs", LINUX_MOUNT_NO_SUID | LINUX_MOUNT_NO_EXEC, "mode=755", "mount /dev")
    for name in FileView.devices {
      try make(file: "\(devices)/\(name)")
      try mount(
        "\(Self.old)/dev/\(name)", "\(devices)/\(name)", nil, LINUX_MOUNT_BIND_ALL, nil, "show /dev/\(name)")
    }
    for (name, target) in FileView.deviceLinks {
      try attempt(.files, "make the link /dev/\(name)") { symlink(target, "\(devices)/\(name)") }
    }
    try make(directory: "\(devices)/pts")
    let flags = LINUX_MOUNT_NO_SUID | LINUX_MOUNT_NO_EXEC
    try mount(
      "devpts", "\(devices)/pts", "devpts", flags, "newinstance,ptmxmode=0666,mode=620", "mount /dev/pts")
    try make(directory: "\(devices)/shm")
    try mount(
      "tmpfs", "\(devices)/shm", "tmpfs", flags | LINUX_MOUNT_NO_DEVICES, "mode=1777", "mount /dev/shm")
    try attempt(.files, "make /dev read-only") {
      linux_mount_set(devices, UInt64(LINUX_ATTRIBUTE_READ_ONLY), 0)
    }
  }

  /// The resolvers' file that programs read; where the host's is a link out of /etc, at the end of the link.
  private func putResolverFile() throws(SandboxError) {
    guard let text = view.resolverFile else { return }
    let source = "/resolv.conf"
    try make(file: source)
    let bytes = Array(text.utf8), descriptor = open(source, O_WRONLY | O_CLOEXEC)
    guard descriptor >= 0, write(descriptor, bytes, bytes.count) == bytes.count, close(descriptor) == 0 else {
      throw SandboxError(.files, "cannot write /etc/resolv.conf: \(Errno(rawValue: errno))")
    }
    let link = Self.linkTarget(Self.new + "/etc/resolv.conf")
    let path = link.map { $0.hasPrefix("/") ? $0 : normal("/etc/\($0)") } ?? "/etc/resolv.conf"
    let target = Self.new + path
    if access(target, F_OK) != 0 {
      // Only in directories of the sandbox's own can there be something new.
      guard view.access(to: path) == .own else { return }
      try make(file: target)
    }
    try mount(source, target, nil, LINUX_MOUNT_BIND_ALL, nil, "show /etc/resolv.conf")
    try attempt(.files, "protect /etc/resolv.conf") {
      linux_mount_set(target, UInt64(LINUX_ATTRIBUTE_READ_ONLY), 0)
    }
  }
}

/// Something in the file system, found without a link on the way: in a directory that others may write, nobody can have
/// put one there since the path was looked at.
private struct Place: ~Copyable {
  let descriptor: Int32
  let isDirectory: Bool

  /// - Returns: nil where there is nothing.
  init?(_ path: String) throws(SandboxError) {
    let descriptor = linux_open_place(path)
    if descriptor < 0, errno == ENOENT || errno == ENOTDIR { return nil }
    guard descriptor >= 0 else {
      throw SandboxError(.files, "cannot find \(path): \(Errno(rawValue: errno))")
    }
    var status = stat()
    isDirectory = fstat(descriptor, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
    self.descriptor = descriptor
  }

  deinit { close(descriptor) }

  /// Puts what is at another place over this one.
  func show(_ source: borrowing Place, _ attributes: Int32, _ what: String) throws(SandboxError) {
    let (from, place) = (source.descriptor, descriptor)
    let tree = try attempt(.files, what) { linux_copy_mounts(from) }
    defer { close(tree) }
    try attempt(.files, what) { linux_set_copied(tree, UInt64(attributes)) }
    try attempt(.files, what) { linux_put_mounts(tree, place) }
  }
}

// MARK: - Steps

extension FileSystem {
  private func mount(
    _ source: String, _ target: String, _ type: String?, _ flags: Int32, _ options: String?, _ what: String,
    of part: SandboxPart = .files
  ) throws(SandboxError) {
    try attempt(part, what) { linux_mount(source, target, type, UInt(flags), options) }
  }

  private func make(directory path: String) throws(SandboxError) {
    var made = ""
    for part in path.split(separator: "/") {
      made += "/\(part)"
      guard mkdir(made, 0o755) == 0 || errno == EEXIST || Self.isDirectory(made) == true else {
        throw SandboxError(.files, "cannot make the directory \(made): \(Errno(rawValue: errno))")
      }
    }
  }

  private func make(file path: String) throws(SandboxError) {
    if let slash = path.lastIndex(of: "/"), slash != path.startIndex {
      try make(directory: String(path[..<slash]))
    }
    if access(path, F_OK) == 0 { return }
    let descriptor = try attempt(.files, "make the file \(path)") {
      open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o444)
    }
    close(descriptor)
  }

  /// nil for what is not there.
  private static func isDirectory(_ path: String) -> Bool? {
    var status = stat()
    return lstat(path, &status) == 0 ? status.st_mode & S_IFMT == S_IFDIR : nil
  }

  private static func linkTarget(_ path: String) -> String? {
    var bytes = [UInt8](repeating: 0, count: Int(PATH_MAX))
    let count = readlink(path, &bytes, bytes.count)
    return count > 0 ? String(decoding: bytes[..<count], as: UTF8.self) : nil
  }

  /// A path without `.` and `..`.
  private func normal(_ path: String) -> String {
    var parts: [Substring] = []
    for part in path.split(separator: "/") where part != "." {
      if part == ".." { _ = parts.popLast() } else { parts.append(part) }
    }
    return "/" + parts.joined(separator: "/")
  }
}
