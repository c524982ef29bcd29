import ArgumentParser
import Glibc
import PolicyFile

/// The policy of a sandbox: a file, or a ready profile.
struct RunPolicy {
  /// The file, or what the profile is called.
  let path: String
  /// The policy itself, where it is no file.
  let text: String?

  /// - Parameters:
  ///   - policy: A file that somebody named.
  ///   - profile: A profile that somebody named.
  init(policy: String?, profile: String?, in here: Surroundings) {
    if let policy {
      (path, text) = (policy, nil)
    } else if profile == nil, access(here.paths.policy, F_OK) == 0 {
      (path, text) = (here.paths.policy, nil)
    } else {
      path = "builtin:profile-\(profile ?? "generic")"
      text = "version: 1\ninclude: [\(path)]\n"
    }
  }

  /// - Throws: For a profile beside a policy, and one that there is not.
  static func validate(policy: String?, profile: String?) throws {
    guard let profile else { return }
    if policy != nil {
      throw ValidationError(
        "--profile and --policy exclude each other. In a policy write 'include: [builtin:profile-\(profile)]'."
      )
    }
    guard BuiltinAllowlists.text(named: "profile-\(profile)") == nil else { return }
    let names = BuiltinAllowlists.names.filter { $0.utf8.starts(with: "profile-".utf8) }
    throw ValidationError(
      "There is no profile '\(profile)'. Name \(names.map { String($0.dropFirst(8)) }.joined(separator: ", "))."
    )
  }

  /// Reads it as `run` does, without a gate.
  func load(in here: Surroundings) throws(Failure) -> LoadedPolicy {
    let loader = PolicyLoader(
      runMode: .run, environment: here.environment, workingDirectory: here.workingDirectory,
      now: wallClock(), hasDNSListener: true,
      distrusting: [realPath(here.workingDirectory)].compactMap(\.self))
    do throws(PolicyFileError) {
      return if let text { try loader.load(text: text, named: path) } else { try loader.load(path: path) }
    } catch { throw Failure(policy: error, on: here.console) }
  }
}
