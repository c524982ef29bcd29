import Addressing
import EventLoop

/// What one question, a name and a type, was answered with.
struct InquiryAnswer: Sendable {
  /// What the records at the end of the chain say, at most 64 of them.
  enum Content: Hashable, Sendable {
    /// A, AAAA: at least one address, each once.
    case addresses([IPAddress])
    /// CNAME: what the name is an alias of. It is not followed.
    case alias(Hostname)
    /// Any other type: the data of at least one record, each once. Names in it are
    /// whole, never compressed, so it can be sent as it is (`DNSRecordRebuild`).
    case records([[UInt8]])
  }

  /// `.noAddresses` says, of a question of any type, that the name exists and has
  /// no record of that type (NODATA).
  var result: Result<Content, ResolveFailure>
  /// The aliases followed, each once and in order, without the name asked for; at most 8.
  var chain: [Hostname]
  /// When it no longer counts: 5 to 3600 s after it came, 1 s after a failure.
  var until: MonotonicTime

  /// The addresses; empty when there are none.
  var addresses: [IPAddress] {
    guard case .success(.addresses(let addresses)) = result else { return [] }
    return addresses
  }
}
