/// What a rule, a default or a decision says.
public enum Action: String, Hashable, Sendable, CaseIterable {
  /// Let it pass.
  case allow
  /// Hold it until a person decides.
  case ask
  /// Refuse it.
  case deny
}

/// What becomes of a denial.
public enum Mode: String, Hashable, Sendable, CaseIterable {
  /// It is carried out.
  case enforce
  /// It is recorded and the traffic passes, unless the floor denied it.
  case audit
}
