/// One entry of a rule's `http`: which requests it speaks of.
public struct RequestPattern: Hashable, Sendable {
  /// Methods as RFC 9110 §9.1 writes them, compared byte by byte; empty: any.
  public var methods: [String]
  /// Which paths; nil: any.
  public var path: PathPattern?

  /// Makes a pattern.
  public init(methods: [String] = [], path: PathPattern? = nil) {
    self.methods = methods
    self.path = path
  }
}

/// What a policy may know of one HTTP request.
public struct RequestFacts: Hashable, Sendable {
  /// The method, as sent.
  public var method: String
  /// The path, as sent, from its first `/`, without the query.
  public var path: String

  /// Makes the facts.
  public init(method: String, path: String) {
    self.method = method
    self.path = path
  }
}
