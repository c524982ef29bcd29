import Policy

extension LoadRun {
  /// Checks what only all documents together show, and makes the policy.
  func finish() throws(PolicyFileError) -> LoadedPolicy {
    let drafts = documents.flatMap(\.rules)
    checkIDs(drafts)
    checkAgents(drafts)
    try sink.check()
    Linter(now: loader.now, drafts: drafts).run()
    let main = documents.first
    let rules = drafts.compactMap(\.rule)
    var policy = Policy(
      mode: main?.mode ?? .enforce, defaultAction: main?.defaultAction ?? .deny,
      hold: main?.hold ?? Policy.defaultHold, agents: main?.agents ?? [], rules: rules)
    policy.reviewers = main?.reviewers ?? Reviewers()
    limitAudit(of: &policy)
    if rules.isEmpty, let main {
      let effect =
        policy.mode == .audit ? "everything but the floor passes, as its mode is audit" : "nothing gets out"
      main.scope.warn(.start, "the policy has no rules, so \(effect)", "Add rules, or include a list")
    }
    var sandbox = SandboxSettings()
    for document in documents { sandbox.merge(document.sandbox) }
    return LoadedPolicy(
      policy: policy, warnings: sink.warnings.sorted(), sources: sources, sandbox: sandbox,
      systemFiles: loader.machine.files.all)
  }

  /// Watching ends when the policy says so; from then on the policy is carried out, whenever it is read.
  private func limitAudit(of policy: inout Policy) {
    guard let main = documents.first, let (until, mark) = main.auditUntil else { return }
    guard policy.mode == .audit else {
      return main.scope.warn(
        mark, "'audit-until' has no effect where 'mode' is enforce", "Remove it, or write 'mode: audit'")
    }
    policy.auditUntil = until
    guard policy.endAudit(at: loader.now) else { return }
    main.scope.warn(
      mark, "the time of watching ended at \(until), so the policy is enforced",
      "Write 'mode: enforce' without 'audit-until', or set a later time")
  }

  func checkIDs(_ drafts: [RuleDraft]) {
    var first: [RuleID: RuleDraft] = [:]
    for draft in drafts {
      guard let name = draft.id?.name else { continue }
      guard let earlier = first[name] else {
        first[name] = draft
        continue
      }
      // A list cannot be changed, so the other rule is the one to blame.
      let (rule, other) = draft.isFromList ? (earlier, draft) : (draft, earlier)
      rule.scope.error(
        rule.id?.mark ?? rule.mark,
        "the id '\(name)' is taken by the rule at \(other.scope.file):\(other.mark.line)",
        "Give each rule an id of its own")
    }
  }

  private func checkAgents(_ drafts: [RuleDraft]) {
    let declared = documents.first?.agents.map(\.name) ?? []
    let known = Set(declared + [.default])
    for draft in drafts {
      for (name, mark) in draft.agents where !known.contains(name) && !sink.isFull {
        let near =
          nearest(to: name.text, in: known.map(\.text).sorted()).map { "Write '\($0)', or declare" }
          ?? "Declare"
        draft.scope.error(
          mark, "no agent is called '\(name)'",
          "\(near) it under 'agents' in the main policy, with 'listen', 'token_sha256' or 'by: interface'")
      }
    }
  }
}
