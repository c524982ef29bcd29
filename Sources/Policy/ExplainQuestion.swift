import Addressing

extension Policy {
  /// `mayQuery`, with what each rule says about the question: its protocol and
  /// types count only where the type is one that a rule can open.
  ///
  /// - Parameter type: The name in upper case, like `TXT`.
  public func explainQuestion(
    _ type: String, of host: Hostname, agent: AgentName, at now: Timestamp
  ) -> Explanation {
    let isOpenable = RecordTypes.open.contains(type)
    let query = Query(host: .name(host), port: .domain, traffic: .all, agent: agent, now: now)
    var considered = rules.map { Explanation.Consideration(rule: $0, pattern: nil, failed: [.host]) }
    var specificity = [UInt32](repeating: 0, count: rules.count)
    walk(query) { candidate, failures in
      let place = Int(candidate.rule), rule = rules[place]
      guard considered[place].pattern == nil || candidate.specificity > specificity[place] else { return }
      specificity[place] = candidate.specificity
      considered[place].pattern = rule.to[Int(candidate.pattern)]
      considered[place].failed = failures.intersection([.agent, .expired]).fields
      guard isOpenable else { return }
      if rule.traffic != .dns {
        considered[place].failed.append(.traffic)
      } else if !rule.recordTypes.contains(type) {
        considered[place].failed.append(.recordType)
      }
    }
    return Explanation(
      destination: Destination(.name(host), .domain, .dns), agent: agent, addressClass: nil,
      considered: considered, decision: mayQuery(type, of: host, agent: agent, at: now))
  }
}
