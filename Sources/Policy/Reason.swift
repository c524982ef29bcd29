/// Why a decision is what it is; the raw value stands in records and replies.
public enum Reason: String, Hashable, Sendable, CaseIterable {
  /// An allow rule won.
  case allowed = "rule"
  /// A deny rule matched.
  case denyRule = "deny-rule"
  /// An ask rule won.
  case askRule = "ask-rule"
  /// No rule matched.
  case noRule = "no-rule"
  /// Metadata, unspecified, multicast, broadcast, or loopback without leave.
  case specialAddress = "special-address"
  /// An address of this machine, a listener or a resolver of the gate.
  case selfAddress = "self-address"
  /// A private, shared or reserved address without leave.
  case privateAddress = "private-address"
  /// The ClientHello names another host than CONNECT did.
  case sniMismatch = "sni-mismatch"
  /// The ClientHello names no host.
  case sniMissing = "sni-missing"
  /// The ClientHello's server name cannot be read in one way only.
  case sniMalformed = "sni-malformed"
  /// The first bytes are not TLS.
  case notTLS = "not-tls"
  /// The ClientHello is encrypted and its outer name is another host.
  case encryptedHello = "encrypted-client-hello"
  /// The ClientHello did not come in time.
  case helloTimeout = "hello-timeout"
  /// The ClientHello is too large.
  case helloTooLarge = "hello-too-large"
  /// The bytes are no request.
  case malformed = "malformed-request"
  /// The Host field names another host than the target.
  case hostMismatch = "host-mismatch"
  /// An upgrade that the rule does not cover.
  case upgrade
  /// A method that the gate does not carry.
  case method
  /// The client did not say, or could not prove, which agent it is.
  case unknownAgent = "unknown-agent"
  /// The name is an alias of one that a deny rule matches.
  case cnameDenied = "cname-denied"
  /// Every address that the name resolved to was one that the floor refuses.
  case rebinding
  /// Too much of the names asked under one registered domain was never asked before.
  case dnsBudget = "dns-budget"
  /// A name that may be resolved, with the resolver's search suffix behind it.
  case searchSuffix = "search-suffix"
  /// A type of DNS record that no rule lets through.
  case recordType = "record-type"
  /// Every synthetic address is taken or rests.
  case syntheticExhausted = "synthetic-exhausted"
  /// An address that stands for names, and stands for none now.
  case syntheticUnnamed = "synthetic-unnamed"
  /// The kernel's table did not take the addresses that an answer holds.
  case fenceUnavailable = "fence-unavailable"
  /// A packet that is no flow's, begins one in the middle, or holds a routing header.
  case oddPacket = "odd-packet"
  /// A packet that claims to come from elsewhere.
  case spoofedSource = "spoofed-source"
  /// A packet that was to be routed where nothing is.
  case notForwarded = "not-forwarded"
  /// A packet by a link that was made anew or renamed.
  case strangeLink = "strange-link"
  /// Too many connections under the rule.
  case connectionLimit = "connection-limit"
  /// The rule's budget of bytes to upstream is spent.
  case bytesOutLimit = "bytes-out-limit"
  /// The rule's budget of bytes from upstream is spent.
  case bytesInLimit = "bytes-in-limit"
  /// The connection lasted as long as its rule, or the gate, lets it.
  case durationLimit = "duration-limit"
  /// The audit log cannot be written.
  case auditUnavailable = "audit-unavailable"
  /// A person would have to approve, and none is there.
  case noApprover = "no-approver"
  /// A person approved it.
  case approved
  /// A person refused it.
  case refused
  /// A person is asked, and has not answered in time.
  case pendingApproval = "pending-approval"
  /// As many questions of the agent wait as may.
  case approvalQueueFull = "approval-queue-full"
  /// What it asks for is longer than a person can be shown.
  case approvalTooLarge = "approval-too-large"
  /// The agent has opened as many questions in a minute as it may.
  case approvalRate = "approval-rate"
  /// It was refused so often that nobody is asked again.
  case askingEnded = "asking-ended"
  /// A person has stopped this agent, or all.
  case stopped
  /// The rule or approval was taken back.
  case revoked
  /// The rule or approval ran out.
  case expired
  /// A defect in the gate.
  case internalError = "internal-error"
  /// The gate has no room for more.
  case overload
  /// The request head did not come in time.
  case headTimeout = "head-timeout"
  /// The request body stalled, or did not come in time as a whole.
  case bodyTimeout = "body-timeout"
  /// The name did not resolve.
  case dnsFailure = "dns-error"
  /// The resolvers did not answer.
  case dnsTimeout = "dns-timeout"
  /// The upstream refused the connection.
  case connectRefused = "connection-refused"
  /// The upstream did not answer.
  case connectTimeout = "connection-timeout"
  /// The connection failed in another way.
  case connectFailed = "connection-failed"
  /// The upstream's answer is not HTTP that can be passed on.
  case badUpstream = "bad-upstream"
}
