/// The manual page of a command and all below it, as man(7) macros.
///
/// - Source: man(7), groff_man(7).
struct ManualPage {
  private var lines: [String] = []

  /// The page's text.
  var roff: String { lines.joined(separator: "\n") + "\n" }

  init(_ root: CommandTree, version: String) {
    lines.append(
      ".TH \(quoted(root.name.uppercased())) 8 \"\" \(quoted("\(root.name) \(version)")) \"Exitgate\"")
    section("NAME", [escaped("\(root.name) - \(phrase(root.abstract))")])
    section("SYNOPSIS", [".B \(root.name)", ".I command", "[options]"])
    lines.append(".SH DESCRIPTION")
    paragraphs(root.discussion)
    lines.append(".SH COMMANDS")
    for command in root.subcommands where command.name != "help" { describe(command, path: [root.name]) }
    lines.append(".SH ENVIRONMENT")
    environment(of: root)
    lines.append(".SH \"EXIT STATUS\"")
    for (status, meaning) in Self.statuses { lines += [".TP", ".B \(status)", escaped(meaning)] }
    files()
  }

  private static let statuses = [
    ("0", "Success; for explain: allowed."), ("1", "The answer is no; for explain: denied."),
    ("2", "For explain: a person would be asked."), ("64", "The command line is wrong."),
    ("65", "The policy is wrong."),
    ("69", "The host lacks something, or no gate answers."),
    ("78", "The configuration is wrong: an address in use, a log that cannot be used, no resolver."),
  ]

  private mutating func section(_ title: String, _ body: [String]) {
    lines.append(".SH \(quoted(title))")
    lines += body
  }

  /// A command's synopsis, what it is for, its options, then the commands below it.
  private mutating func describe(_ command: CommandTree, path: [String]) {
    let name = path + [command.name]
    lines.append(".SS \(quoted(name.joined(separator: " ")))")
    guard command.subcommands.isEmpty else {
      lines.append(escaped(command.abstract))
      paragraphs(command.discussion)
      for below in command.subcommands where below.name != "help" { describe(below, path: name) }
      return
    }
    lines +=
      [".B \(escaped(name.joined(separator: " ")))"] + command.options.filter { !$0.isHelp }.map(\.synopsis)
    lines += [".PP", escaped(command.abstract)]
    paragraphs(command.discussion)
    for option in command.options where !option.isHelp {
      lines += [".TP", option.heading, escaped(option.explanation)]
    }
  }

  /// Text as paragraphs; indented lines stay as they are.
  private mutating func paragraphs(_ text: String) {
    var isVerbatim = false
    for line in text.split(separator: "\n", omittingEmptySubsequences: false) {
      let indented = line.utf8.starts(with: "  ".utf8)
      if indented != isVerbatim, !line.isEmpty {
        lines += indented ? [".PP", ".RS", ".nf"] : [".fi", ".RE", ".PP"]
        isVerbatim = indented
      }
      if line.isEmpty { if !isVerbatim { lines.append(".PP") } } else { lines.append(escaped(line)) }
    }
    if isVerbatim { lines += [".fi", ".RE"] }
  }

  private mutating func environment(of root: CommandTree) {
    lines.append(escaped("Each variable stands for an option of the same name; the command line wins."))
    lines.append(escaped("Options that can be repeated take values separated by commas; flags take 1 or 0."))
    for (name, commands) in root.longOptions.sorted(by: { $0.key < $1.key }) {
      lines += [
        ".TP", ".B \(escaped(Twins.variable(for: name)))",
        escaped("--\(name) of \(commands.joined(separator: ", "))."),
      ]
    }
    lines += [".TP", ".B NO_COLOR", escaped("No colour, whatever its value.")]
    lines += [
      ".TP", ".B NOTIFY_SOCKET",
      escaped("Told READY=1 by serve once every listener is bound (sd_notify(3))."),
    ]
  }

  private mutating func files() {
    let root = Paths(user: 0, environment: [:]), user = Paths(user: 1, environment: ["HOME": "~"])
    lines.append(".SH FILES")
    for (path, other, what) in [
      (root.policy, user.policy, "The policy."), (root.auditLog, user.auditLog, "The audit log."),
      (root.control, "$XDG_RUNTIME_DIR/exitgate/control.sock", "The control socket."),
    ] {
      lines += [".TP", ".I \(escaped(path))", escaped("\(what) For other users than root: \(other).")]
    }
  }
}

extension CommandTree {
  /// The long options of this command and all below it, with the commands that have them.
  fileprivate var longOptions: [String: [String]] {
    var all: [String: [String]] = [:]
    for command in subcommands where command.name != "help" {
      for option in command.options where !option.isHelp {
        if let name = option.longName { all[name, default: []].append(command.name) }
      }
      for (name, below) in command.longOptions {
        all[name, default: []] += below.map { "\(command.name) \($0)" }
      }
    }
    return all
  }
}

extension CommandTree.Option {
  fileprivate var isHelp: Bool { longName == "help" || longName == "version" }

  fileprivate var synopsis: String {
    let name = longName.map { "--\($0)" } ?? names.first
    let word = name.map { isFlag ? escaped($0) : escaped("\($0) \(value ?? "value")") }
    let text = (word ?? escaped(value ?? "argument")) + (isRepeating ? " ..." : "")
    return isOptional ? "[\(text)]" : text
  }

  fileprivate var heading: String {
    guard !names.isEmpty else { return ".I \(escaped(value ?? "argument"))" }
    let all = ".B \(escaped(names.joined(separator: ", ")))"
    return isFlag ? all : ".BI \"\(escaped(names.joined(separator: ", "))) \" \(escaped(value ?? "value"))"
  }

  fileprivate var explanation: String {
    defaultValue.map { "\(abstract) Default: \($0)." } ?? abstract
  }
}

/// Text for roff: backslashes and hyphens as themselves, no line that starts a
/// request (groff(7), "Escape sequences").
private func escaped(_ text: some StringProtocol) -> String {
  var result = ""
  for scalar in text.unicodeScalars {
    switch scalar {
    case "\\": result += "\\e"
    case "-": result += "\\-"
    case _ where !scalar.isASCII:
      let digits = String(scalar.value, radix: 16, uppercase: true)
      result += "\\[u\(String(repeating: "0", count: max(0, 4 - digits.count)))\(digits)]"
    default: result.unicodeScalars.append(scalar)
    }
  }
  return result.first == "." || result.first == "'" ? "\\&" + result : result
}

/// A sentence as NAME has it: no capital, no full stop (man-pages(7)).
private func phrase(_ sentence: String) -> String {
  let words = sentence.utf8.last == UInt8(ascii: ".") ? sentence.dropLast() : sentence[...]
  return words.prefix(1).lowercased() + words.dropFirst()
}

private func quoted(_ text: String) -> String {
  "\"\(escaped(text).split(separator: "\"").joined(separator: "\\(dq"))\""
}
