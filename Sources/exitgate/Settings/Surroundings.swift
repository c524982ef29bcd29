import FoundationEssentials
import Glibc

/// What a command finds around itself, read once.
struct Surroundings {
  /// The environment.
  let environment: [String: String]
  /// Where results and words go.
  let console: Console
  /// Where things are by default.
  let paths: Paths
  /// The directory relative paths start from.
  let workingDirectory: String

  init() {
    // glibc's `environ` is a bare global, which Swift 6 does not let be read; the
    // parser brings this module along.
    environment = ProcessInfo.processInfo.environment
    console = Console(environment: environment)
    paths = Paths(environment: environment)
    workingDirectory = currentDirectory()
  }
}

private func currentDirectory() -> String {
  guard let path = getcwd(nil, 0) else { return "/" }
  defer { free(path) }
  return String(cString: path)
}
