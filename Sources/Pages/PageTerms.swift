import Wire

/// What a page server takes, and what stands in every answer of it.
public struct PageTerms: Sendable {
  /// What may stand in `Host`, to the byte; nil: any name, and the address that was connected to. Whoever says
  /// something else, or nothing, gets 403, so that a name that was led here (DNS rebinding) opens nothing.
  public var hosts: Set<String>?
  /// The longest body in bytes; 0: none is taken.
  public var bodyLimit: Int
  /// Fields of every answer, refusals of malformed requests included.
  public var fields: [(name: String, value: String)]

  /// Makes terms.
  public init(
    hosts: Set<String>? = nil, bodyLimit: Int = 0, fields: [(name: String, value: String)] = []
  ) {
    self.hosts = hosts
    self.bodyLimit = bodyLimit
    self.fields = fields
  }
}

/// Why a request is not handed over.
enum PageRefusal: Error, Hashable {
  /// It is malformed.
  case request(RequestError)
  /// It names no host, or none of those that it may.
  case host
  /// Its body is longer than the terms take.
  case tooLarge
  /// It waits for a word before it sends its body.
  case expectation
}

extension PageRefusal {
  var answer: PageAnswer {
    switch self {
    case .request(.hostMismatch): .text(421, "refused: \(RequestError.hostMismatch.token)")
    case .request(let error): .text(error.status, "refused: \(error.token)")
    case .host: .text(403, "refused: this host is not served here")
    case .tooLarge: .text(413, "refused: the body is too large")
    case .expectation: .text(417, "refused: send the body at once")
    }
  }
}
