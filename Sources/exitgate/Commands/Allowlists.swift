import ArgumentParser
import Audit
import PolicyFile

/// `exitgate allowlists`
struct Allowlists: Verb {
  static let configuration = CommandConfiguration(
    commandName: "allowlists",
    abstract: "List the ready-made allowlists, or print one.",
    discussion: """
      A policy takes them in with 'include: [builtin:npm, system:pip]'. The built-in ones hold one ecosystem or purpose \
      each, every entry with its reason and the public document it comes from. The system ones are read from \
      this machine's own package-manager configuration, so that mirrors and private indexes just work.

        exitgate allowlists
        exitgate allowlists npm
        exitgate allowlists system:pip
      """)

  @Argument(
    help: ArgumentHelp(
      "The list: npm, builtin:npm or system:pip; all names when left out.", valueName: "name"))
  var name: String?

  @Flag(help: "Print JSON.")
  var json = false

  func run(in here: Surroundings) throws(Failure) -> Int32 {
    guard let name else {
      list(on: here.console)
      return 0
    }
    let text = try text(of: name, in: here)
    if json {
      here.console.result(.object([.init("name", .string(name)), .init("yaml", .string(text))]))
    } else {
      here.console.result(lines: text)
    }
    return 0
  }

  private func list(on console: Console) {
    let builtin = BuiltinAllowlists.names.map { (name: "builtin:\($0)", about: about($0)) }
    let system = SystemLists.names.map {
      (name: "system:\($0)", about: "from this machine's configuration of \($0)")
    }
    let all = builtin + system
    if json {
      let entries = all.map {
        JSONValue.object([.init("name", .string($0.name)), .init("about", .string($0.about))])
      }
      return console.result(.array(entries))
    }
    table(all.map { [Text($0.name, .strong), Text($0.about)] }).forEach(console.result)
  }

  private func text(of name: String, in here: Surroundings) throws(Failure) -> String {
    let parts = name.utf8.split(separator: UInt8(ascii: ":"), maxSplits: 1).map { String(Substring($0)) }
    switch (parts.first, parts.last) {
    case ("system"?, let list?) where parts.count == 2: return try system(list, in: here)
    case ("builtin"?, let list?) where parts.count == 2: return try builtin(list)
    case (let list?, _) where parts.count == 1: return try builtin(list)
    default: throw unknown(name)
    }
  }

  private func builtin(_ list: String) throws(Failure) -> String {
    guard let text = BuiltinAllowlists.text(named: list) else { throw unknown(list) }
    return text
  }

  private func system(_ list: String, in here: Surroundings) throws(Failure) -> String {
    let text = SystemLists.yaml(
      named: list, environment: here.environment, workingDirectory: here.workingDirectory)
    guard let text else { throw unknown("system:\(list)") }
    return text
  }

  private func unknown(_ list: String) -> Failure {
    Failure(.usage, "there is no allowlist '\(list)'. 'exitgate allowlists' shows their names.")
  }
}

/// The `about:` line of a list.
private func about(_ list: String) -> String {
  let mark = "about: "
  let lines = (BuiltinAllowlists.text(named: list) ?? "").split(separator: "\n")
  return lines.first { $0.utf8.starts(with: mark.utf8) }.map { String($0.dropFirst(mark.count)) } ?? ""
}
