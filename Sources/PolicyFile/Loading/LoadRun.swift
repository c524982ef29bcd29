import Policy
import SystemPackage

/// One load: what was read so far, and what was found wrong with it.
///
/// Confined to the call that made it.
final class LoadRun {
  /// How deep includes may stand in each other.
  static let depthLimit = 8
  /// How many documents make up one policy at most.
  static let documentLimit = 256

  let sink = DiagnosticSink()
  let loader: PolicyLoader
  private(set) var documents: [Document] = []
  private(set) var sources: [PolicySource] = []
  private var seen: Set<DocumentIdentity> = []
  private var stack: [DocumentIdentity] = []

  init(_ loader: PolicyLoader) {
    self.loader = loader
  }

  func readMain(path: String) {
    let scope = Scope(file: path, sink: sink)
    do {
      let file = try loader.read(path)
      read(
        file.bytes, named: path, origin: .main, identity: .file(file.identity),
        directory: FilePath(path).removingLastComponent())
    } catch {
      scope.error(.start, error.cause, error.remedy)
    }
  }

  func readMain(bytes: [UInt8], named: String) {
    read(
      bytes, named: named, origin: .main, identity: .main,
      directory: FilePath(loader.machine.workingDirectory))
  }

  /// What this run can enforce, by the agents of the policy that includes the others.
  private var enforcement: Enforcement { loader.enforcement.given(documents.first?.agents ?? []) }

  /// Reads one document by itself.
  func parse(_ bytes: [UInt8], named: String, origin: DocumentOrigin) -> Document? {
    let isIncluded = origin == .file
    guard let root = Composer(file: named, sink: sink, showsKeys: !isIncluded).compose(bytes) else {
      return nil
    }
    var scope = Scope(file: named, sink: sink)
    if isIncluded {
      guard root.hasKey("version") else {
        scope.error(
          .start, "the file is not a policy: it has no 'version'", "Name a file that begins with 'version: 1'"
        )
        return nil
      }
      scope.veil = Veil(over: root)
    }
    return DocumentReader(scope: scope, origin: origin, enforcement: enforcement, machine: loader.machine)
      .read(root)
  }

  /// Reads one document, then those that it includes.
  private func read(
    _ bytes: [UInt8], named: String, origin: DocumentOrigin, identity: DocumentIdentity, directory: FilePath,
    detail: String? = nil
  ) {
    seen.insert(identity)
    guard let document = parse(bytes, named: named, origin: origin) else { return }
    documents.append(document)
    sources.append(
      PolicySource(
        name: origin.sourceName(file: named), rules: document.rules.count { $0.rule != nil },
        detail: detail ?? document.about ?? ""))
    stack.append(identity)
    for inclusion in document.includes { include(inclusion, from: document, directory: directory) }
    stack.removeLast()
  }

  private func include(_ inclusion: Inclusion, from document: Document, directory: FilePath) {
    let scope = document.scope
    guard stack.count < Self.depthLimit else {
      scope.error(
        inclusion.mark, "includes stand in each other deeper than \(Self.depthLimit)",
        "Include the file higher up")
      return
    }
    guard documents.count < Self.documentLimit else {
      scope.error(
        inclusion.mark, "the policy has more than \(Self.documentLimit) files",
        "Put rules together in fewer files")
      return
    }
    switch inclusion.kind {
    case .builtin: includeBuiltin(inclusion, scope)
    case .system: includeSystem(inclusion, document)
    case .file: includeFile(inclusion, document, directory)
    }
  }

  /// Whether a document is still to be read; one that includes itself is reported.
  private func isNew(_ identity: DocumentIdentity, _ inclusion: Inclusion, _ scope: Scope) -> Bool {
    if stack.contains(identity) {
      scope.error(
        inclusion.mark,
        "'\(inclusion.kind.rawValue):\(quotedName(inclusion, scope))' includes itself in the end",
        "Remove one of the includes")
    }
    return !seen.contains(identity)
  }

  private func quotedName(_ inclusion: Inclusion, _ scope: Scope) -> String {
    String(shown(inclusion.name, inclusion, scope).dropFirst().dropLast())
  }

  /// A part of an entry of `include`, as far as its file may be shown.
  private func shown(_ part: String, _ inclusion: Inclusion, _ scope: Scope) -> String {
    scope.veil.isDrawn(at: inclusion.mark) ? "'…'" : quoted(part)
  }

  private func includeBuiltin(_ inclusion: Inclusion, _ scope: Scope) {
    let name = inclusion.name
    guard let text = BuiltinAllowlists.text(named: name) else {
      scope.error(
        inclusion.mark, "there is no built-in list \(shown(name, inclusion, scope))", remedy(forList: name))
      return
    }
    guard isNew(.builtin(name), inclusion, scope) else { return }
    read(
      Array(text.utf8), named: "builtin:\(name)", origin: .builtin(name), identity: .builtin(name),
      directory: "")
  }

  private func includeSystem(_ inclusion: Inclusion, _ document: Document) {
    let scope = document.scope, name = inclusion.name
    guard let kind = SystemListName(rawValue: name) else {
      scope.error(
        inclusion.mark, "there is no system list \(shown(name, inclusion, scope))",
        "Write \(suggestion(for: name, from: SystemLists.names))")
      return
    }
    guard isNew(.system(name), inclusion, scope) else { return }
    let list = SystemLists.list(kind, on: loader.machine)
    for note in list.notes where !(note.isAbsence && document.origin.isBuiltin) {
      scope.warn(inclusion.mark, "system:\(name): \(note.cause)", note.remedy)
    }
    read(
      Array(list.yaml.utf8), named: "system:\(name)", origin: .system(name), identity: .system(name),
      directory: "",
      detail: list.detail)
  }

  private func includeFile(_ inclusion: Inclusion, _ document: Document, _ directory: FilePath) {
    let scope = document.scope
    switch document.origin {
    case .builtin, .system:
      scope.error(inclusion.mark, "a list cannot include files", "Remove the entry")
      return
    case .main, .file: break
    }
    let path = directory.pushing(FilePath(inclusion.name)).lexicallyNormalized()
    do {
      let file = try loader.read(path.string)
      guard isNew(.file(file.identity), inclusion, scope) else { return }
      read(
        file.bytes, named: path.string, origin: .file, identity: .file(file.identity),
        directory: path.removingLastComponent())
    } catch {
      let cause = error.cause.replacing(
        quoted(path.string), with: shown(path.string, inclusion, scope))
      scope.error(inclusion.mark, cause, error.remedy)
    }
  }
}

/// By what a document is known again.
private enum DocumentIdentity: Hashable {
  case main
  case file(SafeFile.Identity)
  case builtin(String)
  case system(String)
}

extension DocumentOrigin {
  func sourceName(file: String) -> String {
    switch self {
    case .main, .file: "file:\(file)"
    case .builtin(let name): "builtin:\(name)"
    case .system(let name): "system:\(name)"
    }
  }
}
