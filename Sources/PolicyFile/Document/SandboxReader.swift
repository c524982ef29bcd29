import Policy

/// Reads `files` and `process`: what a command in a sandbox finds.
struct SandboxReader {
  /// How many processes a command may be told to have at most, and at least: itself and a child.
  static let processes = 2...1_000_000
  /// The least memory that a limit may be: below it no program starts.
  static let leastMemory: UInt64 = 16 << 20

  let scope: Scope

  func read(_ fields: Fields) -> SandboxSettings {
    var settings = SandboxSettings()
    readFiles(fields["files"], &settings)
    readProcess(fields["process"], &settings)
    return settings
  }

  private func readFiles(_ node: Node?, _ settings: inout SandboxSettings) {
    guard let node,
      let fields = Fields(
        node, in: scope, of: "'files'", keys: ["read", "write", "hide"],
        example: "files such as { read: [~/.gitconfig] }")
    else { return }
    settings.read = paths(fields, "read")
    settings.write = paths(fields, "write")
    settings.hide = paths(fields, "hide")
    let shown = Set((settings.read + settings.write).map(\.value))
    for path in settings.hide.map(\.value) where shown.contains(path) {
      scope.warn(
        fields.mark(of: "hide"), "\(quoted(path)) is both shown and hidden, and is hidden",
        "Remove one of the two")
    }
  }

  private func paths(_ fields: Fields, _ key: String) -> [Stated<String>] {
    guard let node = fields[key] else { return [] }
    let items = scope.items(node, "'\(key)'", example: "[~/.gitconfig, /opt/tools]") ?? []
    return items.compactMap { stated(path($0, key), $0) }
  }

  private func path(_ node: Node, _ key: String) -> String? {
    let example = "a path such as ~/.gitconfig or /opt/tools"
    guard let text = scope.text(node, "an entry of '\(key)'", example: example) else { return nil }
    let parts = text.split(separator: "/")
    if text == "/" || text == "~" || text == "~/" {
      guard key == "write" else { return text }
      scope.error(node.mark, "\(quoted(text)) would open too much", "Name the directories that are meant")
      return nil
    }
    let isOdd =
      parts.contains("..") || text.utf8.contains(0) || text.utf8.contains(UInt8(ascii: "*"))
      || text.utf8.first == UInt8(ascii: "~") && !text.utf8.starts(with: "~/".utf8)
    guard !isOdd else {
      scope.error(
        node.mark, "\(quoted(text)) is no plain path",
        "Write it in full, absolute or beginning with ~/, without '..' and '*'")
      return nil
    }
    return text
  }

  private func readProcess(_ node: Node?, _ settings: inout SandboxSettings) {
    guard let node,
      let fields = Fields(
        node, in: scope, of: "'process'", keys: ["env", "max-processes", "memory", "time"],
        example: "process such as { env: [GH_TOKEN], time: 1h }")
    else { return }
    if let node = fields["env"] {
      let items = scope.items(node, "'env'", example: "[GH_TOKEN]") ?? []
      settings.environment = items.compactMap { stated(variable($0), $0) }
    }
    settings.maxProcesses = fields["max-processes"].flatMap {
      stated(scope.integer($0, "'max-processes'", in: Self.processes), $0)
    }
    settings.memory = fields["memory"].flatMap { stated(memory($0), $0) }
    settings.time = fields["time"].flatMap { stated(scope.duration($0, "'time'"), $0) }
  }

  private func stated<Value>(_ value: Value?, _ node: Node) -> Stated<Value>? {
    value.map { Stated($0, at: "\(scope.file):\(node.mark.line)") }
  }

  /// - Source: POSIX.1-2017, XBD §8.1: names of portable variables.
  private func variable(_ node: Node) -> String? {
    guard let text = scope.text(node, "an entry of 'env'", example: "a name such as GH_TOKEN") else {
      return nil
    }
    let isName =
      text.utf8.allSatisfy { $0 == 0x5f || isLetter($0) || (0x30...0x39).contains($0) }
      && text.utf8.first.map { $0 == 0x5f || isLetter($0) } ?? false
    guard isName else {
      scope.error(
        node.mark, "\(quoted(text)) is no name of a variable",
        "Write the name alone, of letters, digits and '_'")
      return nil
    }
    return text
  }

  private func isLetter(_ byte: UInt8) -> Bool { (0x61...0x7a).contains(byte | 0x20) }

  private func memory(_ node: Node) -> UInt64? {
    guard let size = scope.size(node, "'memory'") else { return nil }
    if size >= Self.leastMemory { return size }
    scope.error(node.mark, "'memory' is less than 16MiB, and no program starts", "Write more, such as 2GiB")
    return nil
  }
}
