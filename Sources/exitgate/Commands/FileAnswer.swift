import Audit
import Launcher

/// What a sandbox has at a path, ready to be shown.
struct FileAnswer {
  /// As it was asked.
  let file: String
  let explanation: FileExplanation

  init(file: String, _ explanation: FileExplanation) { (self.file, self.explanation) = (file, explanation) }

  /// 0 for what can be read, 1 for what is not there.
  var exitStatus: Int32 { [.read, .write].contains(explanation.access) ? 0 : 1 }

  /// The answer as lines; the verdict comes last, where the eye is.
  func page(policyPath: String) -> [Text] {
    var lines = table(
      [["file", Text(file, .strong)]]
        + (explanation.path.end == file ? [] : [["leads to", Text(explanation.path.end)]])
        + [
          ["on the host", explanation.exists ? "there" : "nothing yet"], ["policy", Text(policyPath)],
        ])
    if !explanation.lineage.isEmpty { lines.append("from above") }
    lines += table(explanation.lineage.map(row), indent: "  ")
    return lines + conclusion
  }

  private func row(_ entry: FileView.Entry) -> [Text] {
    let counts = explanation.ground == .entry(entry)
    return [
      Text(entry.path), Text(entry.access.word), Text(counts ? "counts" : "", .good),
      Text(entry.origin.words, .faint),
    ]
  }

  private var conclusion: [Text] {
    let access = explanation.access
    let verdict = Text(access.word, exitStatus == 0 ? .good : .bad)
    var lines: [Text] = ["\(verdict): \(Text(explanation.ground.words)). \(Text(access.meaning))."]
    if let cut = explanation.cut {
      lines.append("\(cut) is a link, and not in the sandbox: its end has to be named, or it shown.")
    }
    if case .entry(let entry) = explanation.ground, entry.origin == .credentials {
      lines.append("To show it: name \(entry.path) itself with --read, or in 'files' of the policy.")
    }
    return lines
  }

  var json: JSONValue {
    .object([
      .init("file", .string(file)), .init("path", .string(explanation.path.end)),
      .init("exists", .bool(explanation.exists)), .init("access", .string(explanation.access.word)),
      .init("hidden_link", explanation.cut.map { .string($0) } ?? .null),
      .init("rule", .string(explanation.ground.rule)),
      .init("source", explanation.ground.place.map { .string($0) } ?? .null),
      .init("considered", .array(explanation.lineage.map(entry))),
    ])
  }

  private func entry(_ entry: FileView.Entry) -> JSONValue {
    .object([
      .init("path", .string(entry.path)), .init("access", .string(entry.access.word)),
      .init("rule", .string(entry.origin.rule)),
      .init("source", entry.origin.place.map { .string($0) } ?? .null),
    ])
  }
}

extension FileView.Access {
  fileprivate var word: String {
    switch self {
    case .read: "read"
    case .write: "write"
    case .own: "own"
    case .hidden: "hidden"
    }
  }

  fileprivate var meaning: String {
    switch self {
    case .read: "The command can read it, and not change it"
    case .write: "The command can read and change it"
    case .own: "The command finds the sandbox's own, and nothing of what the host has there"
    case .hidden: "The command finds nothing there"
    }
  }
}

extension FileView.Origin {
  /// What programs call it.
  fileprivate var rule: String {
    switch self {
    case .system: "builtin:system"
    case .systemSecrets: "builtin:system-secrets"
    case .scratch: "builtin:own-directories"
    case .home: "builtin:home"
    case .credentials: "builtin:credentials"
    case .workingDirectory: "builtin:working-directory"
    case .policyItself: "builtin:policy"
    case .policy(let key, _): "files.\(key)"
    case .option(let name): name
    }
  }

  /// Where it stands; nil for what stands in no file.
  fileprivate var place: String? {
    if case .policy(_, let place) = self { place } else { nil }
  }

  fileprivate var words: String {
    switch self {
    case .system: "built in: programs and settings of the system"
    case .systemSecrets: "built in: secrets of the system"
    case .scratch: "built in: /tmp, /var/tmp and /run are the sandbox's own"
    case .home: "built in: the home is the sandbox's own"
    case .credentials: "built in: where programs keep a person's secrets"
    case .workingDirectory: "built in: the working directory"
    case .policyItself: "built in: the policy stays as it is"
    case .policy(let key, let place): "files.\(key) at \(place)"
    case .option(let name): name
    }
  }
}

extension FileExplanation.Ground {
  fileprivate var rule: String {
    switch self {
    case .entry(let entry): entry.origin.rule
    case .kernel: "builtin:kernel"
    case .resolverFile: "builtin:resolver"
    case .nothing: "builtin:not-shown"
    }
  }

  fileprivate var place: String? {
    if case .entry(let entry) = self { entry.origin.place } else { nil }
  }

  fileprivate var words: String {
    switch self {
    case .entry(let entry): "\(entry.path), \(entry.origin.words)"
    case .kernel: "built in: /proc, /sys and /dev are made anew"
    case .resolverFile: "built in: the gate is the resolver"
    case .nothing: "built in: what nothing names is not shown"
    }
  }
}
