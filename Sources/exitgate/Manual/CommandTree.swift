import ArgumentParser
import Audit

/// A command with its options and subcommands, read from the declarations that
/// parse the command line: what help, completions and the manual page say.
struct CommandTree: Sendable {
  /// An option, flag or positional argument.
  struct Option: Sendable {
    /// The names as typed: `--policy`, `-h`; empty for a positional argument.
    var names: [String]
    /// The name behind `--`.
    var longName: String?
    /// What stands for the value: `file`.
    var value: String?
    /// Whether it takes no value.
    var isFlag: Bool
    /// Whether it may be left out.
    var isOptional: Bool
    /// Whether it may be given again.
    var isRepeating: Bool
    /// What it is for.
    var abstract: String
    /// What stands in its place.
    var defaultValue: String?
  }

  var name: String
  var abstract: String
  var discussion: String
  var options: [Option]
  var subcommands: [CommandTree]

  /// Reads the declarations of `command`.
  init(_ command: any ParsableCommand.Type) {
    // Only the parser's own description is read here; it has no fixed size.
    let tree = try? JSONValue(parsing: command._dumpHelp().utf8, limit: 1 << 24)
    self.init(tree?["command"] ?? .null)
  }

  private init(_ json: JSONValue) {
    name = json["commandName"]?.text ?? ""
    abstract = json["abstract"]?.text ?? ""
    discussion = json["discussion"]?.text ?? ""
    options = (json["arguments"]?.elements ?? []).filter { $0["shouldDisplay"]?.bool ?? true }.map(
      Option.init)
    subcommands = (json["subcommands"]?.elements ?? []).filter { $0["shouldDisplay"]?.bool ?? true }
      .map { CommandTree($0) }
  }
}

extension CommandTree.Option {
  fileprivate init(_ json: JSONValue) {
    let all = json["names"]?.elements ?? []
    names = all.compactMap { name in
      name["name"]?.text.map { name["kind"]?.text == "long" ? "--\($0)" : "-\($0)" }
    }
    longName = all.first { $0["kind"]?.text == "long" }?["name"]?.text
    value = json["valueName"]?.text
    isFlag = json["kind"]?.text == "flag"
    isOptional = json["isOptional"]?.bool ?? false
    isRepeating = json["isRepeating"]?.bool ?? false
    abstract = json["abstract"]?.text ?? ""
    defaultValue = json["defaultValue"]?.text
  }
}
