import Addressing

/// What resolvers put behind a name before they ask for the name itself.
///
/// A resolver with a search list asks `api.github.com.svc.cluster.local` first
/// where the name has fewer dots than its `ndots`, which Kubernetes sets to 5.
/// Such a question says nothing about what the agent wants.
struct SearchSuffixes: Sendable {
  /// How many suffixes of a file count: the most that the C library ever took
  /// (resolv.conf(5); since glibc 2.26 it has no limit).
  static let limit = 32
  /// In bytes; what is behind is not read.
  static let maximumSize = 64 * 1024

  /// The domain that Kubernetes gives a cluster unless told otherwise.
  private static let cluster: [Substring] = ["cluster", "local"]
  private static let clusterName = try? Hostname("cluster.local")

  /// As the file has them, without those that are of a cluster anyway.
  let names: Set<Hostname>
  /// The same, and that of a cluster: what a name must be below to have one behind it.
  private let all: [Hostname]

  /// Takes suffixes; those of a Kubernetes cluster are always known.
  init(_ names: some Sequence<Hostname> = []) {
    self.names = Set(names)
    all = (Self.clusterName.map { [$0] } ?? []) + self.names
  }

  /// Reads the `search` and `domain` lines; of several, the last counts.
  ///
  /// - Source: resolv.conf(5). A word that is no host name is passed over.
  init(resolvConf bytes: [UInt8]) {
    var words: [ArraySlice<UInt8>] = []
    for line in bytes.prefix(Self.maximumSize).split(separator: UInt8(ascii: "\n")) {
      let fields = line.split {
        $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\t") || $0 == UInt8(ascii: "\r")
      }
      guard fields.count > 1 else { continue }
      if fields[0].elementsEqual("search".utf8) { words = Array(fields.dropFirst()) }
      if fields[0].elementsEqual("domain".utf8) { words = [fields[1]] }
    }
    self.init(words.prefix(Self.limit).compactMap { try? Hostname($0) })
  }

  /// The system's own, or only those of a cluster where the file cannot be read.
  static func load(path: String = "/etc/resolv.conf") -> SearchSuffixes {
    SearchSuffixes(resolvConf: (try? BoundedFile.read(path, limit: maximumSize)) ?? [])
  }

  /// The name that a suffix stands behind, the longest suffix first; nil where
  /// there is none.
  ///
  /// More than one may fit: `a.test.com.svc.cluster.local` is `a.test.com` with
  /// `svc.cluster.local` behind it, or `a.test` in the namespace `com`.
  ///
  /// - Parameter isMeant: Tells which of them counts.
  func prefix(of name: Hostname, where isMeant: (Hostname) -> Bool = { _ in true }) -> Hostname? {
    // Most names have none, and need not be taken apart.
    guard all.contains(where: { name.isBelow($0) }) else { return nil }
    let labels = name.labels
    for start in labels.indices.dropFirst() where isSuffix(labels[start...]) {
      guard let prefix = try? Hostname(labels[..<start].joined(separator: ".")), isMeant(prefix) else {
        continue
      }
      return prefix
    }
    return nil
  }

  private func isSuffix(_ labels: ArraySlice<Substring>) -> Bool {
    if isOfCluster(labels) { return true }
    guard !names.isEmpty, let suffix = try? Hostname(labels.joined(separator: ".")) else { return false }
    return names.contains(suffix)
  }

  /// `cluster.local`, `svc.cluster.local` and `NAMESPACE.svc.cluster.local`.
  ///
  /// - Source: Kubernetes, "DNS for Services and Pods".
  private func isOfCluster(_ labels: ArraySlice<Substring>) -> Bool {
    guard (2...4).contains(labels.count), labels.suffix(2).elementsEqual(Self.cluster) else { return false }
    return labels.count == 2 || labels[labels.endIndex - 3] == "svc"
  }
}
