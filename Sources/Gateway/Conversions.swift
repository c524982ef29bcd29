import Addressing
import Audit
import EventLoop
import Glibc
import Policy
import Wire

extension Timestamp {
  /// The wall clock's time.
  public static func now() -> Timestamp {
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    return Timestamp(milliseconds: Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000)
  }
}

extension Decision {
  /// What stands before the policy was asked: nothing passes by it.
  static let undecided = Decision(answer: .deny, reason: .internalError)
}

extension Flow {
  func closeRecord(
    _ reason: CloseReason, address: Endpoint?, bytesOut: UInt64, bytesIn: UInt64, at now: Timestamp
  ) -> Record {
    .close(
      CloseRecord(
        time: now, flow: id, agent: origin.agent, client: origin.client, destination: destination,
        rule: decision.rule?.id, generation: generation, reason: reason, address: address, bytesOut: bytesOut,
        bytesIn: bytesIn, duration: .milliseconds(max(0, now.milliseconds - startedAt.milliseconds))))
  }
}

extension Record {
  /// A request that was refused before it could be judged.
  static func unjudged(
    _ reason: Reason, from origin: Origin, destination: Destination?, rawHost: [UInt8]?, detail: String?,
    generation: UInt64,
    flow: UInt64,
    at now: Timestamp
  ) -> Record {
    .decision(
      DecisionRecord(
        time: now, flow: flow, agent: origin.agent, client: origin.client, listener: origin.listener,
        destination: destination, rawHost: rawHost, layer: origin.layer, verdict: .deny, reason: reason,
        generation: generation, detail: detail))
  }
}

extension CloseReason {
  init(_ end: RelayEnd) {
    self =
      switch end {
      case .finished: .finished
      case .idle: .idle
      case .timedOut: .cut(.durationLimit)
      case .overBudgetOut: .cut(.bytesOutLimit)
      case .overBudgetIn: .cut(.bytesInLimit)
      case .clientFailed: .clientReset
      case .upstreamFailed: .upstreamReset
      case .cut: .shutdown
      }
  }
}

extension ResolveFailure {
  var reason: Reason {
    switch self {
    case .timeout: .dnsTimeout
    case .overload: .overload
    default: .dnsFailure
    }
  }
}

extension DialFailure {
  var reason: Reason {
    switch self {
    case .refused: .connectRefused
    case .timedOut: .connectTimeout
    case .unreachable, .failed: .connectFailed
    }
  }
}

extension RequestError {
  var reason: Reason {
    switch self {
    case .hostMismatch: .hostMismatch
    case .method: .method
    default: .malformed
    }
  }
}

extension ClientHelloError {
  var reason: Reason {
    switch self {
    case .notTLS: .notTLS
    case .tooLarge: .helloTooLarge
    case .malformed: .notTLS
    default: .sniMalformed
    }
  }
}
