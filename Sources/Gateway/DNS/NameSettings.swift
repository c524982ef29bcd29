import Keeper
import Policy

/// How a name service answers; fixed for the life of the gate.
struct NameSettings: Sendable {
  /// Whom it asks.
  var resolver: ResolverConfiguration
  /// Questions a second of one agent; 0: any number.
  var rate: Int
  /// What stub resolvers put behind names.
  var suffixes: SearchSuffixes
  /// Where names get their addresses; nil: real answers.
  var pool: SyntheticPool?
  /// Whom to tell of addresses that rules of `protocol: udp` open, before they are given away.
  var fence: (any Fence)?
  /// Whose datagrams it carries.
  var fencedAgents = [AgentName.default]
}

/// What a name service has done since its start.
struct NameCounters: Sendable {
  /// Messages that came.
  var queries: UInt64 = 0
  /// Questions answered from what was remembered.
  var hits: UInt64 = 0
  var allowed: UInt64 = 0
  var denied: UInt64 = 0
  /// Messages that are no question.
  var malformed: UInt64 = 0
  /// Questions above the rate, answered with TC=1.
  var limited: UInt64 = 0
  /// Messages that got no answer: responses, scraps, and questions far above the rate.
  var dropped: UInt64 = 0

  mutating func count(_ verdict: QuestionVerdict, isKnown: Bool) {
    if isKnown { hits &+= 1 }
    if verdict.isDenial { denied &+= 1 } else { allowed &+= 1 }
  }
}
