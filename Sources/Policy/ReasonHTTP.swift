extension Reason {
  /// The `error` parameter of `Proxy-Status`; nil for what is no error.
  ///
  /// - Source: RFC 9209 §2.3, the registered proxy error types.
  public var proxyError: String? {
    switch self {
    case .allowed, .approved: nil
    case .specialAddress, .selfAddress, .privateAddress, .rebinding, .syntheticUnnamed:
      "destination_ip_prohibited"
    case .malformed, .hostMismatch, .method, .headTimeout, .bodyTimeout: "http_request_error"
    case .sniMalformed, .notTLS, .helloTimeout, .helloTooLarge: "tls_protocol_error"
    case .connectionLimit, .overload, .syntheticExhausted, .fenceUnavailable:
      "connection_limit_reached"
    case .auditUnavailable, .internalError: "proxy_internal_error"
    case .dnsFailure: "dns_error"
    case .dnsTimeout: "dns_timeout"
    case .connectRefused: "connection_refused"
    case .connectTimeout: "connection_timeout"
    case .connectFailed: "destination_unavailable"
    case .badUpstream: "http_protocol_error"
    case .denyRule, .askRule, .noRule, .sniMismatch, .sniMissing, .encryptedHello, .upgrade, .unknownAgent,
      .cnameDenied, .dnsBudget, .searchSuffix, .recordType, .bytesOutLimit, .bytesInLimit, .durationLimit,
      .noApprover, .refused, .pendingApproval, .approvalQueueFull, .approvalTooLarge, .approvalRate,
      .askingEnded, .stopped,
      .revoked,
      .expired, .oddPacket, .spoofedSource, .notForwarded, .strangeLink:
      "http_request_denied"
    }
  }

  /// The status to answer with; 200 for what passes.
  ///
  /// - Source: RFC 9110 §15; 408 for a client that is slow, 407 for one without
  ///   a token, 503 for what may pass, 502 and 504 for the upstream's trouble.
  public var status: Int {
    switch self {
    case .allowed, .approved: 200
    case .malformed, .hostMismatch: 400
    case .method: 405
    case .unknownAgent: 407
    case .headTimeout, .bodyTimeout, .helloTimeout: 408
    case .internalError: 500
    case .connectionLimit, .overload, .auditUnavailable, .syntheticExhausted, .fenceUnavailable: 503
    case .dnsFailure, .connectRefused, .connectFailed, .badUpstream: 502
    case .dnsTimeout, .connectTimeout: 504
    case .denyRule, .askRule, .noRule, .specialAddress, .selfAddress, .privateAddress, .rebinding,
      .syntheticUnnamed, .sniMismatch, .sniMissing, .sniMalformed, .notTLS, .encryptedHello, .helloTooLarge,
      .upgrade,
      .cnameDenied, .dnsBudget, .searchSuffix, .recordType, .bytesOutLimit, .bytesInLimit, .durationLimit,
      .noApprover, .refused, .pendingApproval, .approvalQueueFull, .approvalTooLarge, .approvalRate,
      .askingEnded, .stopped,
      .revoked,
      .expired, .oddPacket, .spoofedSource, .notForwarded, .strangeLink:
      403
    }
  }
}
