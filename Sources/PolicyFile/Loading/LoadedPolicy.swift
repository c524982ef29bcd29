import Policy

/// A policy that is complete, and what it was made from.
public struct LoadedPolicy: Sendable {
  /// The policy.
  public var policy: Policy
  /// What is doubtful, sorted by place.
  public var warnings: [Diagnostic]
  /// Every document, in the order in which they were read.
  public var sources: [PolicySource]
  /// What all of them say about the sandbox of a command.
  public var sandbox: SandboxSettings
  /// The machine's files that system lists were read from.
  public var systemFiles: [String]
}

/// One document that a policy was made from.
public struct PolicySource: Hashable, Sendable {
  /// `file:PATH`, `builtin:NAME` or `system:NAME`.
  public var name: String
  /// How many rules it gave.
  public var rules: Int
  /// One line more: what a built-in list is for, which files a system list was read from.
  public var detail: String
}
