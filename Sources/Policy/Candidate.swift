import Addressing

/// A rule that names a host, as the index hands it to the evaluator.
struct Candidate {
  /// Its place in `Policy.rules`.
  var rule: UInt32
  /// The place in the rule's `to` of the pattern that matched.
  var pattern: UInt32
  /// How closely the pattern fits: see `HostPattern.specificity`.
  var specificity: UInt32
}

extension HostPattern {
  /// Orders the patterns that match one host: exact, then more labels before
  /// fewer, then `*`; for addresses the length of the prefix.
  var specificity: UInt32 {
    switch self {
    case .exact: 1000
    case .subdomains(let name), .domain(let name): UInt32(name.labelCount)
    case .anyName: 0
    case .prefix(let block): UInt32(block.length)
    }
  }
}
