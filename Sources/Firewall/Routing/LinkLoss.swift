/// Why a device is no longer taken for the one that was enrolled by its name and number.
public enum LinkLoss: UInt8, Hashable, Sendable, CaseIterable {
  /// It was deleted, or moved to another namespace.
  case gone = 1
  /// It became a port of a bridge, a bond or a VRF: what comes by it is that one's.
  case enslaved
  /// Changes were lost, so that nobody knows whether it is still the same.
  case unsure

  /// How it is said of the device: that it is …
  public var words: String {
    switch self {
    case .gone: "gone"
    case .enslaved: "enslaved"
    case .unsure: "lost from sight"
    }
  }
}

extension LinkLoss {
  /// What a change means to whoever enrolled the device of a number; nil: it is the same.
  public init?(_ change: LinkWatch.Change, to index: UInt32) {
    switch change {
    case .absent(let link) where link.index == index: self = .gone
    case .present(let link) where link.index == index && link.master != nil: self = .enslaved
    case .absent, .present: return nil
    }
  }

  /// What a list means to whoever enrolled the device of a number, once changes were lost.
  ///
  /// One that is there may have gone in between, and another may have its name and number.
  public init(among links: [NetworkLink], of index: UInt32) {
    guard let link = links.first(where: { $0.index == index }) else {
      self = .gone
      return
    }
    self = link.master == nil ? .unsure : .enslaved
  }
}
