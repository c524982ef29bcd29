import Glibc
import Launcher

/// What a command in a sandbox finds at a path, and who says so.
struct FileExplanation: Hashable {
  /// Why a path is what it is.
  enum Ground: Hashable {
    /// This entry of the view.
    case entry(FileView.Entry)
    /// The kernel's own file systems, and devices, are made anew.
    case kernel
    /// The gate writes this file.
    case resolverFile
    /// Nothing shows it.
    case nothing
  }

  /// Where it lies on the host.
  let path: HostPath
  /// Whether there is something on the host.
  let exists: Bool
  /// A link on the way that is not in the sandbox; nil where the way is open.
  let cut: String?
  /// What there is.
  let access: FileView.Access
  /// Why.
  let ground: Ground
  /// What was said of it and of what is above it, the highest first.
  let lineage: [FileView.Entry]

  init(of path: HostPath, in view: FileView) {
    self.path = path
    exists = isThere(path.end)
    cut = path.links.first { !Self.isShown($0, in: view) }
    let place = cut ?? path.end
    lineage = view.lineage(of: place)
    (access, ground) = Self.find(place, in: view, lineage)
  }

  private static func find(_ place: String, in view: FileView, _ lineage: [FileView.Entry]) -> (
    FileView.Access, Ground
  ) {
    if let access = FileView.accessToKernels(place) { return (access, .kernel) }
    if view.resolverFile != nil, place == HostPath("/etc/resolv.conf", from: "/").end {
      return (.own, .resolverFile)
    }
    guard let entry = standing(lineage) else { return (.hidden, .nothing) }
    return (entry.access, .entry(entry))
  }

  private static func isShown(_ link: String, in view: FileView) -> Bool {
    if view.links[link] != nil { return true }
    return [.read, .write].contains(standing(view.lineage(of: link))?.access)
  }

  /// The entry that counts: nothing is put over what is not there.
  private static func standing(_ lineage: [FileView.Entry]) -> FileView.Entry? {
    lineage.last { $0.access != .hidden || isThere($0.path) }
  }
}
