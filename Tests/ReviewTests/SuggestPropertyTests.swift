import Addressing
import Audit
import LogFixtures
import Policy
import PolicyFile
import Testing

@testable import Review

@Suite("Of any log, the suggestion allows what passed and no more")
struct SuggestPropertyTests {
  static let parents = [
    "one.test", "deep.two.test", "three.co.uk", "github.io", "s3.amazonaws.com", "four.github.io",
    "npmjs.org", "evil.cloudfront.net",
    "test", "githubusercontent.com",
  ]
  static let names = ["a", "b", "c", "d", "registry", "raw", "_srv", "xn--bcher-kva"]
  static let literals = [
    "11.2.3.4", "10.0.0.8", "192.168.7.7", "100.100.100.200", "[2a00::7]", "[fd00::1]", "127.0.0.1",
  ]
  static let reasons: [Reason] = [
    .noRule, .noRule, .noRule, .noRule, .notTLS, .denyRule, .askRule, .sniMismatch, .cnameDenied,
    .helloTimeout,
  ]

  /// A place that an agent may have been to.
  private struct Visit {
    var host: String, port: UInt16, traffic: TrafficProtocol, method: String?, type: String?

    init(_ random: inout Seeded) {
      let isLiteral = Int.random(in: 0..<8, using: &random) == 0
      let parent = parents.randomElement(using: &random) ?? "",
        name = names.randomElement(using: &random) ?? ""
      host = isLiteral ? literals.randomElement(using: &random) ?? "" : "\(name).\(parent)"
      traffic =
        [.https, .https, .http, .tcp, isLiteral ? .udp : .dns].randomElement(using: &random) ?? .https
      port = traffic == .dns ? 53 : [443, 443, 80, 22, 8443].randomElement(using: &random) ?? 443
      method = traffic == .http ? ["GET", "POST", "PUT"].randomElement(using: &random) : nil
      type = traffic == .dns ? ["A", "AAAA", "TXT", "MX", "HTTPS"].randomElement(using: &random) : nil
    }

    func record(_ reason: Reason, wouldDeny: Bool = true) -> Record {
      let layer: Layer =
        switch traffic {
        case .http: .http
        case .dns: .dns
        case .udp: .kernel
        case .https, .tcp: reason == .noRule || reason == .denyRule ? .connect : .sni
        }
      return decision(
        host, port, traffic, reason: reason, wouldDeny: wouldDeny, layer: layer, method: method ?? type)
    }
  }

  @Test(
    "every decision that passed is allowed or left out in words; nothing else is allowed beside lists and wildcards",
    arguments: 0..<30)
  func property(seed: Int) throws {
    var random = Seeded(state: UInt64(seed) + 1)
    var records: [Record] = [], visits: [Visit] = []
    for _ in 0..<Int.random(in: 1...80, using: &random) {
      let visit = Visit(&random)
      let isTLS = visit.traffic == .https
      let reason = isTLS ? Self.reasons.randomElement(using: &random) ?? .noRule : .noRule
      visits.append(visit)
      records.append(visit.record(.noRule))
      if reason != .noRule { records.append(visit.record(reason)) }
    }
    let written = try suggest(records)
    try checkComplete(records, written)
    for _ in 0..<400 {
      var stranger = Visit(&random)
      if let known = visits.randomElement(using: &random), Bool.random(using: &random) {
        stranger.host = known.host
      }
      try checkNarrow(stranger, records, written)
    }
  }

  private func checkComplete(_ records: [Record], _ written: SuggestedPolicy) throws {
    let leftOut = Set(written.suggestion.leftOut.compactMap(\.question))
    for tally in try WrittenLog(records).summary().tallies where tally.kind.hasPassed {
      let question = try #require(PolicyQuestion(tally.kind))
      let isAllowed = question.decision(under: written.loaded.policy, at: testNow).answer == .allow
      #expect(
        isAllowed || leftOut.contains(question), "\(question) \(tally.kind.reason ?? "")\n\(written.text)")
    }
  }

  /// Whatever is allowed was seen, or a list or a wildcard says so.
  private func checkNarrow(_ visit: Visit, _ records: [Record], _ written: SuggestedPolicy) throws {
    guard case .decision(let record) = visit.record(.noRule), let destination = record.destination else {
      return
    }
    let policy = written.loaded.policy
    let request = visit.method.map { RequestFacts(method: $0, path: "/x") }
    let decision =
      if let type = visit.type, case .name(let name) = destination.host {
        policy.mayQuery(type, of: name, agent: .default, at: testNow)
      } else {
        policy.decide(destination, agent: .default, request: request, floor: Floor(), at: testNow)
      }
    guard decision.answer == .allow, let rule = decision.rule else { return }
    let isFromList = written.suggestion.inclusions.contains { rule.source.hasPrefix($0.name) }
    let isByWildcard = rule.to.contains {
      if case .subdomains = $0 { $0.matches(destination.host) } else { false }
    }
    if isByWildcard {
      #expect(written.text.contains("# WILDCARD: \(rule.to[0]) allows every name below"), "\(rule.to)")
    }
    let wasSeen = records.contains { seen($0, destination, visit) }
    #expect(isFromList || isByWildcard || wasSeen, "\(destination) \(visit) by \(rule.id)\n\(written.text)")
  }

  /// Whether a record is about this place: the same method, and for questions anything about the name.
  private func seen(_ record: Record, _ destination: Destination, _ visit: Visit) -> Bool {
    guard case .decision(let other) = record, let place = other.destination, place.host == destination.host
    else { return false }
    switch destination.traffic {
    case .dns:
      guard let type = visit.type, RecordTypes.open.contains(type) else { return true }
      return place.traffic == .dns && other.method == type
    case .http:
      return place.port == destination.port && place.traffic == .http && other.method == visit.method
    case .https, .tcp:
      // Bytes that were not TLS make the tunnel one of opaque bytes; a name that was asked for is one of https.
      return place.port == destination.port && [.https, .tcp].contains(place.traffic)
        || place.traffic == .dns && destination.traffic == .https && destination.port == .https
    case .udp: return place.port == destination.port && place.traffic == .udp
    }
  }
}
