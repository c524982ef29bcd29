import Addressing
import Wire

/// What one response says about the question it answers.
struct UpstreamAnswer: Hashable, Sendable {
  enum Content: Hashable, Sendable {
    /// At least one record of the type asked for.
    case found(InquiryAnswer.Content)
    /// The name has no record of this type.
    case noData
    /// The name at the end of the chain does not exist.
    case nameDoesNotExist
    /// The chain ends here with neither; this name has to be asked for.
    case alias(Hostname)
  }

  var content: Content
  /// The aliases this response adds to the chain, in order.
  var chain: [Hostname]
  /// In seconds, clamped.
  var timeToLive: UInt32

  /// Reads the records that stand on the chain from the question, and no other.
  ///
  /// - Parameters:
  ///   - message: The whole response that `sections` are of.
  ///   - room: How many aliases may still follow.
  ///   - isOurs: Whether this upstream is the one to ask for a name. An alias that
  ///     leads to another name ends the chain: what is said about that is not heard.
  /// - Throws: `.chainTooLong`; `.badResponse` when an alias is no host name, or
  ///   when data does not fit its type.
  /// - Source: RFC 1034 §3.6.2 (aliases), RFC 2308 §2 and §5 (negative answers).
  static func read(
    _ sections: DNSSections, of message: [UInt8], question: DNSQuestion, room: Int = ResolverLimit.chain,
    within isOurs: (Hostname) -> Bool = { _ in true }
  ) throws(ResolveFailure) -> UpstreamAnswer {
    let answers = sections.answers.filter { $0.recordClass == dnsClassInternet }.map(\.withFoldedOwner)
    var end = question.name.folded
    var chain: [Hostname] = []
    var lifetimes: [UInt32] = []
    while let alias = alias(of: end, in: answers, unless: question.type) {
      guard chain.count < room else { throw .chainTooLong }
      guard let target = alias.target.hostname else { throw .badResponse }
      chain.append(target)
      lifetimes.append(alias.lifetime)
      guard isOurs(target) else {
        return UpstreamAnswer(content: .alias(target), chain: chain, timeToLive: clamped(lifetimes))
      }
      end = alias.target.folded
    }
    let found = answers.filter { $0.type == question.type && $0.owner == end }
    let content: Content
    if sections.responseCode == .nameDoesNotExist {
      content = .nameDoesNotExist
      lifetimes.append(negativeLifetime(of: end, in: sections))
    } else if !found.isEmpty {
      content = .found(try InquiryAnswer.Content(found, at: end, of: message))
      lifetimes += found.map(\.effectiveTTL)
    } else if let last = chain.last, !sections.authorities.contains(where: { $0.type == .soa }) {
      content = .alias(last)
    } else {
      content = .noData
      lifetimes.append(negativeLifetime(of: end, in: sections))
    }
    return UpstreamAnswer(content: content, chain: chain, timeToLive: clamped(lifetimes))
  }

  /// The alias that `name` is, when it has no record of the type itself.
  private static func alias(
    of name: DNSName, in answers: [DNSRecord], unless type: DNSRecordType
  ) -> (target: DNSName, lifetime: UInt32)? {
    var found: (target: DNSName, lifetime: UInt32)?
    for record in answers where record.owner == name {
      if record.type == type { return nil }
      if found == nil, case .canonicalName(let target) = record.data {
        found = (target, record.effectiveTTL)
      }
    }
    return found
  }

  /// How long a negative answer counts, in seconds: the smaller of the SOA's own
  /// time to live and its MINIMUM. Without an SOA of a zone that holds `name` it
  /// is the shortest we know, enough to stop a flood of the same question.
  private static func negativeLifetime(of name: DNSName, in sections: DNSSections) -> UInt32 {
    for record in sections.authorities where name.isEqualOrBelow(record.owner) {
      if case .startOfAuthority(let minimum) = record.data { return min(record.effectiveTTL, minimum) }
    }
    return ResolverLimit.timeToLive.lowerBound
  }

  /// The shortest, within the limits (RFC 2181 §8 has no lower bound; DESIGN has).
  private static func clamped(_ lifetimes: [UInt32]) -> UInt32 {
    clamped(lifetimes.min() ?? ResolverLimit.timeToLive.lowerBound)
  }

  private static func clamped(_ lifetime: UInt32) -> UInt32 {
    min(max(lifetime, ResolverLimit.timeToLive.lowerBound), ResolverLimit.timeToLive.upperBound)
  }
}

extension UpstreamAnswer {
  /// Takes what a plain answer says.
  init(_ plain: DNSAddresses) {
    content = .found(.addresses(Array(plain.addresses.prefix(ResolverLimit.addresses))))
    chain = []
    timeToLive = Self.clamped(plain.timeToLive)
  }
}

extension DNSRecord {
  fileprivate var withFoldedOwner: DNSRecord {
    var copy = self
    copy.owner = owner.folded
    return copy
  }
}

extension InquiryAnswer.Content {
  /// - Parameters:
  ///   - records: At least one, all of one type and of the name `owner`.
  ///   - message: What they came in.
  /// - Throws: `.badResponse`.
  fileprivate init(
    _ records: [DNSRecord], at owner: DNSName, of message: [UInt8]
  ) throws(ResolveFailure) {
    switch records[0].data {
    case .address: self = .addresses(Self.addresses(in: records))
    case .canonicalName(let target):
      guard let name = target.hostname else { throw .badResponse }
      self = .alias(name)
    case .startOfAuthority, .other:
      guard let data = try? DNSRecordRebuild.answers(in: message, of: owner, type: records[0].type),
        !data.isEmpty
      else { throw .badResponse }
      self = .records(data)
    }
  }

  /// The addresses in order, each once.
  private static func addresses(in records: [DNSRecord]) -> [IPAddress] {
    var addresses: [IPAddress] = []
    for case .address(let address) in records.lazy.map(\.data) where !addresses.contains(address) {
      addresses.append(address)
      if addresses.count == ResolverLimit.addresses { break }
    }
    return addresses
  }
}
