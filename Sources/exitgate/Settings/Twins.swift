import ArgumentParser
import Audit

/// The environment's say: `--audit-log F` can be given as `EXITGATE_AUDIT_LOG=F`,
/// and so can every long option of every command. The command line wins.
///
/// The twins are found in the commands' own declarations and put into the
/// arguments before these are parsed, so that no command knows of them.
struct Twins {
  /// A variable that speaks for an option of the command that runs.
  struct Twin: Hashable, Sendable {
    var variable: String
    var option: String
    var isFlag: Bool
    var isRepeating: Bool
  }

  static let prefix = "EXITGATE_"

  /// The variable that stands for a long option: `--audit-log`, `EXITGATE_AUDIT_LOG`.
  static func variable(for option: String) -> String {
    prefix + String(decoding: option.utf8.map(upper), as: UTF8.self)
  }

  /// The arguments with those that the environment adds, behind the names of
  /// the subcommands, and the variables they came from.
  ///
  /// - Throws: `Failure` for a flag's twin that is neither yes nor no.
  static func complete(
    _ arguments: [String], of root: any ParsableCommand.Type, environment: [String: String]
  ) throws(Failure) -> (arguments: [String], used: [Twin]) {
    guard environment.keys.contains(where: { $0.utf8.starts(with: prefix.utf8) }) else {
      return (arguments, [])
    }
    let (command, depth) = subcommand(of: root, named: arguments)
    var added: [String] = [], used: [Twin] = []
    for twin in twins(of: command) {
      guard let value = environment[twin.variable], !value.isEmpty,
        !names(option: twin.option, in: arguments)
      else { continue }
      added += try words(for: twin, value: value)
      used.append(twin)
    }
    return (arguments.prefix(depth) + added + arguments.dropFirst(depth), used)
  }

  /// Follows the subcommands' names; options before them belong to the root alone.
  static func subcommand(
    of root: any ParsableCommand.Type, named arguments: [String]
  ) -> (command: any ParsableCommand.Type, depth: Int) {
    var command = root, depth = 0
    for argument in arguments {
      guard let next = command.configuration.subcommands.first(where: { $0._commandName == argument }) else {
        break
      }
      (command, depth) = (next, depth + 1)
    }
    return (command, depth)
  }

  /// The twins of a command's own long options.
  static func twins(of command: any ParsableCommand.Type) -> [Twin] {
    CommandTree(command).options.compactMap { option in
      guard let name = option.longName, name != "help", name != "version" else { return nil }
      return Twin(
        variable: variable(for: name), option: name, isFlag: option.isFlag, isRepeating: option.isRepeating)
    }
  }

  private static func names(option: String, in arguments: [String]) -> Bool {
    arguments.prefix { $0 != "--" }.contains {
      $0 == "--\(option)" || $0.utf8.starts(with: "--\(option)=".utf8)
    }
  }

  private static func words(for twin: Twin, value: String) throws(Failure) -> [String] {
    guard twin.isFlag else {
      let values = twin.isRepeating ? value.split(separator: ",").map(String.init) : [value]
      return values.map { "--\(twin.option)=\($0)" }
    }
    switch value {
    case "1", "true", "yes": return ["--\(twin.option)"]
    case "0", "false", "no": return []
    default:
      throw Failure(.usage, "\(twin.variable) is '\(value)', neither yes nor no. Set it to 1 or 0.")
    }
  }
}

private func upper(_ byte: UInt8) -> UInt8 {
  switch byte {
  case UInt8(ascii: "a")...UInt8(ascii: "z"): byte & ~0x20
  case UInt8(ascii: "-"): UInt8(ascii: "_")
  default: byte
  }
}
