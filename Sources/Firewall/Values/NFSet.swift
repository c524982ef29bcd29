import Addressing

/// A named set, or a map when it has `data`.
public struct NFSet: Hashable, Sendable {
  public var name: String
  /// One type, or several that make a concatenated key.
  public var key: [DataType]
  /// What a map gives for a key; nil for a set.
  public var data: DataType?
  /// Elements may have a timeout.
  public var hasTimeout: Bool
  /// The elements are prefixes; the key is one address type.
  public var isInterval: Bool
  /// How many elements it may hold; nil for no limit.
  public var size: UInt32?
  /// What the table is made with. Those of a `hasTimeout` set are learned at
  /// run time and outlive a refill; all others are replaced by it.
  public var elements: [Element]

  public init(
    _ name: String, key: [DataType], data: DataType? = nil, hasTimeout: Bool = false,
    isInterval: Bool = false,
    size: UInt32? = nil, elements: [Element] = []
  ) {
    self.name = name
    self.key = key
    self.data = data
    self.hasTimeout = hasTimeout
    self.isInterval = isInterval
    self.size = size
    self.elements = elements
  }

  /// Whether both are the same but for their elements.
  func hasShape(of other: NFSet) -> Bool {
    var copy = self
    copy.elements = other.elements
    return copy == other
  }

  /// A set of address blocks; blocks inside others of the list are left out,
  /// as the kernel refuses overlaps.
  public static func blocks(_ name: String, _ type: DataType, _ prefixes: [IPPrefix]) -> NFSet {
    let outer = prefixes.filter { prefix in
      !prefixes.contains { $0 != prefix && $0.length <= prefix.length && $0.contains(prefix.address) }
    }
    let ordered = Set(outer).sorted { $0.address < $1.address }
    return NFSet(name, key: [type], isInterval: true, elements: ordered.map { Element([.prefix($0)]) })
  }
}

/// One element of a set or map.
public struct Element: Hashable, Sendable {
  /// One value for each type of the set's key.
  public var key: [Datum]
  /// What a map gives for the key.
  public var data: Datum?
  /// How long it stays from now on; nil for ever. Adding an element that is
  /// there already starts its time anew.
  public var timeout: Duration?
  /// What is left of the timeout when it is added; nil for all of it.
  var remaining: Duration?

  public init(_ key: [Datum], data: Datum? = nil, timeout: Duration? = nil) {
    self.key = key
    self.data = data
    self.timeout = timeout
  }
}
