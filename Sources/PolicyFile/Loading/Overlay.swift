import Policy
import SystemPackage

extension PolicyLoader {
  /// Reads the file of what people answered for good: a policy's rules, each of which speaks only where the
  /// policy asks. Its rules may name agents that the policy does not have any more.
  ///
  /// - Returns: The file's text and its rules; nil when there is no such file.
  /// - Throws: Every error at once; one of them is a symbolic link, see `RuleFile`.
  public func overlay(path: String) throws(PolicyFileError) -> (text: String, rules: Policy)? {
    let sink = DiagnosticSink()
    if RuleFile(path).isLink {
      Scope(file: path, sink: sink).error(.start, RuleFile.linkCause, RuleFile.linkRemedy)
      try sink.check()
    }
    let text: String
    do throws(SafeFileError) { text = String(decoding: try SafeFile.read(path).bytes, as: UTF8.self) } catch {
      guard !error.isMissing else { return nil }
      Scope(file: path, sink: sink).error(.start, error.cause, error.remedy)
      try sink.check()
      return nil
    }
    return (text, try overlay(text: text, named: path))
  }

  /// The same of a text.
  public func overlay(text: String, named: String) throws(PolicyFileError) -> Policy {
    let run = LoadRun(self)
    run.readMain(bytes: Array(text.utf8), named: named)
    return try run.finishOverlay()
  }
}

extension LoadRun {
  fileprivate func finishOverlay() throws(PolicyFileError) -> Policy {
    let drafts = documents.flatMap(\.rules)
    checkIDs(drafts)
    try sink.check()
    return Policy(rules: drafts.compactMap(\.rule))
  }
}
