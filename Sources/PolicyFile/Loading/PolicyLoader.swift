import Policy
import SystemPackage

/// Reads policies: YAML, includes, built-in and system lists, to one `Policy`.
public struct PolicyLoader: Sendable {
  let enforcement: Enforcement
  let machine: Machine
  let now: Timestamp
  private var standIn: (path: String, bytes: [UInt8])?

  /// Makes a loader.
  ///
  /// - Parameters:
  ///   - runMode: Decides which rules can be enforced.
  ///   - environment: For system lists: `HOME`, `PATH`, `PIP_INDEX_URL` and the like.
  ///   - workingDirectory: Absolute; for system lists and for `file:` includes of a text without a file.
  ///   - now: For warnings about expiry.
  ///   - hasDNSListener: Whether `serve` also answers DNS; nil: not known. An agent's own listener counts anyway.
  ///   - root: Where the machine's files are, for system lists alone; tests give a directory of fixtures.
  ///   - distrusted: Directories, without links, of which system lists take nothing.
  public init(
    runMode: RunMode, environment: [String: String], workingDirectory: String, now: Timestamp,
    hasDNSListener: Bool? = false, root: String = "/", distrusting distrusted: [String] = []
  ) {
    enforcement = Enforcement(runMode: runMode, hasDNSListener: hasDNSListener)
    machine = Machine(
      environment: environment, workingDirectory: workingDirectory, root: root, distrusting: distrusted)
    self.now = now
  }

  /// The same loader, to which the file at `path` says `text`: what a policy would be if the file were written so.
  public func pretending(_ path: String, says text: String) -> PolicyLoader {
    var copy = self
    copy.standIn = (path, Array(text.utf8))
    return copy
  }

  /// Reads a file, or what stands in for it.
  func read(_ path: String) throws(SafeFileError) -> SafeFile {
    var file = try SafeFile.read(path)
    if let standIn, try file.identity == SafeFile.read(standIn.path).identity { file.bytes = standIn.bytes }
    return file
  }

  /// Reads the policy at `path` and all it includes.
  ///
  /// - Throws: Every error of every file at once. A file must be regular, at
  ///   most 1 MiB, and not writable by everybody.
  public func load(path: String) throws(PolicyFileError) -> LoadedPolicy {
    let run = LoadRun(self)
    run.readMain(path: path)
    return try run.finish()
  }

  /// Reads a policy from `text`; diagnostics name it `named`.
  public func load(text: String, named: String) throws(PolicyFileError) -> LoadedPolicy {
    let run = LoadRun(self)
    run.readMain(bytes: Array(text.utf8), named: named)
    return try run.finish()
  }

  /// What the built-in list `name` says that it must answer.
  ///
  /// - Throws: When there is no such list, or it does not load.
  public func expectations(ofList name: String) throws(PolicyFileError) -> [Expectation] {
    let file = "builtin:\(name)"
    guard let text = BuiltinAllowlists.text(named: name) else {
      throw PolicyFileError(diagnostics: [
        Diagnostic(
          file: file, line: 1, column: 1, cause: "there is no such list", remedy: remedy(forList: name))
      ])
    }
    return try expectations(text: text, named: file)
  }

  /// What a list's text says that it must answer.
  public func expectations(text: String, named: String) throws(PolicyFileError) -> [Expectation] {
    let run = LoadRun(self)
    let document = run.parse(Array(text.utf8), named: named, origin: .main)
    try run.sink.check()
    return document?.expectations ?? []
  }
}

extension PolicyLoader {
  /// The expectations in the file at `path`, which needs nothing but `version` and `expect`; what else a list
  /// says is not looked at.
  ///
  /// - Throws: Every error at once.
  public func expectations(path: String) throws(PolicyFileError) -> [Expectation] {
    let run = LoadRun(self), scope = Scope(file: path, sink: run.sink)
    var found: [Expectation] = []
    if let root = run.compose(path, in: scope) { found = ExpectationReader(scope: scope).readFile(root) }
    try run.sink.check()
    return found
  }
}

extension LoadRun {
  /// The tree of a file; nil after a report.
  func compose(_ path: String, in scope: Scope) -> Node? {
    do throws(SafeFileError) {
      return Composer(file: path, sink: sink, showsKeys: true).compose(try SafeFile.read(path).bytes)
    } catch {
      scope.error(.start, error.cause, error.remedy)
      return nil
    }
  }
}

/// What to write instead of an unknown list.
func remedy(forList name: String) -> String {
  "Write \(suggestion(for: name, from: BuiltinAllowlists.names))"
}
