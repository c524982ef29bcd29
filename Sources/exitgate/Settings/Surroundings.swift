import CLinux
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
    environment = processEnvironment()
    console = Console(environment: environment)
    paths = Paths(environment: environment)
    workingDirectory = currentDirectory()
  }
}

/// The variables of environ(7); of a name that stands there twice the first
/// counts, as for getenv(3).
private func processEnvironment() -> [String: String] {
  var variables: [String: String] = [:]
  guard var next = linux_environment() else { return variables }
  while let entry = next.pointee {
    let text = String(cString: entry)
    if let equals = text.utf8.firstIndex(of: UInt8(ascii: "=")) {
      let name = String(text[..<equals])
      variables[name] = variables[name] ?? String(text[text.utf8.index(after: equals)...])
    }
    next += 1
  }
  return variables
}

private func currentDirectory() -> String {
  guard let path = getcwd(nil, 0) else { return "/" }
  defer { free(path) }
  return String(cString: path)
}
