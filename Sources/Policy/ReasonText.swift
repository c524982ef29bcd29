extension Reason {
  /// One sentence for people, without its full stop.
  public var explanation: String {
    switch self {
    case .allowed: "A rule allows it"
    case .denyRule: "A rule denies it"
    case .askRule: "A person has to approve it first"
    case .noRule: "No rule allows it"
    default:
      approvalExplanation ?? addressExplanation ?? packetExplanation ?? questionExplanation
        ?? handshakeExplanation
        ?? limitExplanation
        ?? failureExplanation
    }
  }

  private var approvalExplanation: String? {
    switch self {
    case .noApprover:
      "A person would have to approve it, and none is there: start 'exitgate pending --follow'"
    case .approved: "A person approved it"
    case .refused: "A person refused it"
    case .pendingApproval: "A person is asked and has not answered yet; try again"
    case .approvalQueueFull:
      "Too many questions of this agent wait for a person; try again when some are answered"
    case .approvalTooLarge: "What it asks for is longer than a person can be shown; a rule may allow it"
    case .approvalRate: "This agent opened too many questions for a person in a minute; try again later"
    case .askingEnded: "It was refused three times, so nobody is asked again until the gate is started anew"
    default: nil
    }
  }

  private var addressExplanation: String? {
    switch self {
    case .specialAddress:
      "The address is a metadata service, loopback, IPv4 inside IPv6, or of a kind that is never reached"
    case .selfAddress: "The address belongs to this machine, or to the gate itself"
    case .privateAddress: "The address is private or reserved, and no matching rule says allow-private"
    case .syntheticUnnamed: "The address stood for a name, or might for one; the name must be asked for again"
    case .cnameDenied: "The name is an alias of a name that a rule denies"
    case .rebinding: "The name resolves only to addresses that are never reached under this rule"
    default: nil
    }
  }

  private var packetExplanation: String? {
    switch self {
    case .oddPacket: "The packet belongs to no flow, begins one in the middle, or holds a routing header"
    case .spoofedSource: "The packet claims to come from an address that its sender does not have"
    case .notForwarded: "The packet was to be routed where nothing is"
    case .strangeLink: "The packet came by a link that was made anew or renamed since the gate started"
    default: nil
    }
  }

  private var questionExplanation: String? {
    switch self {
    case .dnsBudget: "Too many names under this domain were never asked before, as a tunnel through DNS needs"
    case .searchSuffix: "The resolver put its search suffix behind a name that may itself be resolved"
    case .recordType: "No rule lets DNS records of this type through"
    case .fenceUnavailable: "The kernel's table could not be told of the name's addresses"
    case .syntheticExhausted: "Every synthetic address is taken"
    default: nil
    }
  }

  private var handshakeExplanation: String? {
    switch self {
    case .sniMismatch: "The TLS handshake names another host than the one that was asked for"
    case .sniMissing: "The TLS handshake names no host"
    case .sniMalformed: "The host name in the TLS handshake is malformed"
    case .notTLS: "The connection does not begin with a TLS handshake"
    case .encryptedHello: "The TLS handshake is encrypted and hides which host it is for"
    case .helloTimeout: "The TLS handshake did not come in time"
    case .helloTooLarge: "The TLS handshake is too large"
    case .malformed: "The request is malformed"
    case .hostMismatch: "The Host field names another host than the request target"
    case .upgrade: "No rule covers this upgrade; only WebSockets are relayed, never h2c: ask in HTTP/1.1"
    case .method: "The gate does not carry this method"
    case .unknownAgent: "The agent is not known, or its token is missing or wrong"
    case .headTimeout: "The request head did not come in time"
    case .bodyTimeout: "The request body did not come in time"
    default: nil
    }
  }

  private var limitExplanation: String? {
    switch self {
    case .connectionLimit: "The rule allows no more connections at the same time"
    case .bytesOutLimit: "The rule's budget for bytes sent is spent"
    case .bytesInLimit: "The rule's budget for bytes received is spent"
    case .durationLimit: "The connection lasted as long as it may"
    case .noApprover: "A person would have to approve it, and none is there"
    case .stopped: "A person has stopped this agent; 'exitgate resume' lets it go on"
    case .revoked: "The rule or approval behind it was taken back"
    case .expired: "The rule or approval behind it ran out"
    default: nil
    }
  }

  private var failureExplanation: String {
    switch self {
    case .auditUnavailable: "The audit log cannot be written, so nothing new is allowed"
    case .overload: "The gate has no room for more"
    case .dnsFailure: "The name does not resolve"
    case .dnsTimeout: "The resolvers did not answer"
    case .connectRefused: "The upstream refused the connection"
    case .connectTimeout: "The upstream did not answer"
    case .connectFailed: "The upstream could not be reached"
    case .badUpstream: "The upstream's answer is malformed"
    default: "The gate met a defect of its own"
    }
  }
}
