import Addressing

/// The places in the tree below one domain at which names were seen.
///
/// A place is remembered as a hash under a key that only this process knows, so
/// nobody can make up names that pass for seen. When there are too many, those
/// go that were not met for longest, in two steps.
struct SeenLabels: Sendable {
  /// Names in a name's way down from its domain that were not seen.
  struct Unseen: Hashable, Sendable {
    /// Of the labels there.
    var bytes: UInt64 = 0
    var places: [UInt64] = []
  }

  /// Random, the same for the life of the process.
  private static let key = (UInt64.random(in: .min ... .max), UInt64.random(in: .min ... .max))

  private let limit: Int
  private var recent: Set<UInt64> = []
  private var older: Set<UInt64> = []

  /// - Parameter limit: How many are remembered at most.
  init(limit: Int) {
    self.limit = limit
  }

  var count: Int { recent.count + older.count }

  /// Looks along the way from the domain to a name.
  ///
  /// - Parameter domain: What the name lies under; where it does not, every
  ///   label counts.
  func unseen(of name: Hostname, below domain: Hostname) -> Unseen {
    var unseen = Unseen()
    forEachPlace(to: name, below: domain) { place, label in
      guard !recent.contains(place), !older.contains(place) else { return }
      unseen.places.append(place)
      unseen.bytes += UInt64(label.utf8.count)
    }
    return unseen
  }

  /// Has the places on the way to a name count as met now, as far as there is
  /// room without forgetting others for it.
  mutating func refresh(_ name: Hostname, below domain: Hostname) {
    guard !older.isEmpty else { return }
    var met: [UInt64] = []
    forEachPlace(to: name, below: domain) { place, _ in if older.contains(place) { met.append(place) } }
    for place in met where recent.count < half {
      older.remove(place)
      recent.insert(place)
    }
  }

  private func forEachPlace(to name: Hostname, below domain: Hostname, _ body: (UInt64, Substring) -> Void) {
    var place: UInt64 = 0
    let own = name == domain || name.isBelow(domain) ? domain.labelCount : 0
    for label in name.labels.dropLast(own).reversed() {
      place = Self.hash(label, under: place)
      body(place, label)
    }
  }

  private var half: Int { max(1, limit / 2) }

  /// Remembers places.
  mutating func insert(_ places: [UInt64]) {
    for place in places {
      if recent.count >= half { (older, recent) = (recent, []) }
      recent.insert(place)
    }
  }

  private static func hash(_ label: Substring, under place: UInt64) -> UInt64 {
    var hasher = Hasher()
    hasher.combine(key.0)
    hasher.combine(key.1)
    hasher.combine(place)
    hasher.combine(label)
    return UInt64(bitPattern: Int64(hasher.finalize()))
  }
}
