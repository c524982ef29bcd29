import Addressing

/// Ports from `lower` to `upper`, both included. With the two the wrong way
/// round it holds no port.
public struct PortRange: Hashable, Sendable, CustomStringConvertible {
  /// The first port.
  public var lower: Port
  /// The last port.
  public var upper: Port

  /// Makes a range.
  public init(_ lower: Port, _ upper: Port) {
    self.lower = lower
    self.upper = upper
  }

  /// One port.
  public init(_ port: Port) {
    self.init(port, port)
  }

  /// Whether `port` lies in the range.
  public func contains(_ port: Port) -> Bool { lower <= port && port <= upper }

  /// `443` or `8081-8083`.
  public var description: String { lower == upper ? "\(lower)" : "\(lower)-\(upper)" }
}

/// The ranges in order, joined where they touch or overlap; empty ones dropped.
func merged(_ ranges: some Sequence<PortRange>) -> [ClosedRange<Int>] {
  let sorted = ranges.filter { $0.lower <= $0.upper }.map { Int($0.lower.number)...Int($0.upper.number) }
    .sorted { $0.lowerBound < $1.lowerBound }
  return sorted.reduce(into: []) { joined, range in
    if let last = joined.last, range.lowerBound <= last.upperBound + 1 {
      joined[joined.count - 1] = last.lowerBound...max(last.upperBound, range.upperBound)
    } else {
      joined.append(range)
    }
  }
}
