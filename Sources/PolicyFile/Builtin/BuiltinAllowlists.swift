/// The ready-made lists of `allowlists/`, as they were when this was built.
///
/// `scripts/embed-allowlists` writes the files beside this one.
public enum BuiltinAllowlists {
  /// Their names, sorted.
  public static let names: [String] = texts.keys.sorted()

  /// A list's text, ready to be read as a policy.
  public static func text(named name: String) -> String? { texts[name] }
}
