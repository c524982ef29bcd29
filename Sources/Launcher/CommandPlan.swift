/// What is started in a sandbox.
public struct CommandPlan: Hashable, Sendable {
  /// The program and its arguments; at least one.
  public var arguments: [String]
  /// All that it finds in its environment.
  public var environment: [String: String]
  /// Where it starts.
  public var directory: String

  /// Makes a plan.
  public init(arguments: [String], environment: [String: String], directory: String) {
    (self.arguments, self.environment, self.directory) = (arguments, environment, directory)
  }

  /// Where a program of this name may be, in the order of looking: as execvp(3) does.
  var candidates: [String] {
    guard let name = arguments.first, !name.isEmpty else { return [] }
    guard !name.utf8.contains(UInt8(ascii: "/")) else { return [name] }
    let path = environment["PATH"] ?? "/usr/local/bin:/usr/bin:/bin"
    return path.split(separator: ":", omittingEmptySubsequences: false)
      .map { $0.isEmpty ? name : "\($0)/\(name)" }
  }
}

/// Which variables of the environment a command gets: those that say where it
/// is and how it may write, none that could be a secret.
public enum EnvironmentFilter {
  /// By name.
  static let names: Set<String> = [
    "PATH", "HOME", "USER", "LOGNAME", "SHELL", "TERM", "COLORTERM", "TERM_PROGRAM", "LANG", "LANGUAGE", "TZ",
    "NO_COLOR", "FORCE_COLOR", "CLICOLOR", "COLUMNS", "LINES", "EDITOR", "VISUAL", "PAGER", "CI",
    "DEBIAN_FRONTEND",
  ]

  /// Whether a variable is let in without being named.
  public static func lets(_ name: String) -> Bool {
    names.contains(name) || name.utf8.starts(with: "LC_".utf8)
  }

  /// Variables that are the sandbox's own, whatever they are outside.
  public static let ownNames = [
    "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY", "PWD", "http_proxy", "https_proxy", "no_proxy",
  ]

  /// The environment of a command.
  ///
  /// - Parameters:
  ///   - environment: That of the person who starts it.
  ///   - named: Variables that are let in by name; one that is not set stays unset.
  ///   - proxy: The address of the proxy inside; nil sets no variable for it.
  public static func environment(
    from environment: [String: String], naming named: Set<String>, proxy: String?
  ) -> [String: String] {
    var result = environment.filter { lets($0.key) || named.contains($0.key) }
    guard let proxy else { return result }
    for name in ["http_proxy", "https_proxy"] {
      result[name] = proxy
      result[name.uppercased()] = proxy
    }
    // The command's own servers are not the gate's business.
    for name in ["no_proxy", "NO_PROXY"] { result[name] = "localhost,127.0.0.1,::1" }
    return result
  }
}
