import Audit
import Pages
import Policy
import PolicyFile
import Review

/// Turns a request that was let in into a page.
struct Router: Sendable {
  let settings: ReviewSettings
  let hooks: ReviewHooks
  let log: LogSource
  let watch: Watch
  let attendance: Attendance?

  /// What forms of the page may change without a script.
  static let forms = ["answer", "revoke"]

  /// Answers a request for a page.
  ///
  /// - Parameters:
  ///   - name: The last part of the path.
  ///   - token: The session's own, which stands in the page.
  func page(_ name: String, _ query: String?, token: String) -> PageAnswer {
    guard let fields = FormFields(query) else { return .text(400, "the address is no form's") }
    do throws(ReviewProblem) {
      switch name {
      case "": return try overview(fields, token)
      case "group": return try group(fields, token)
      case "explain": return explain(fields, token)
      case "standing": return standing(token)
      case "integrity": return integrity(token)
      default: return PageAsset.answer(name) ?? .text(404, "there is no such page")
      }
    } catch {
      return document(
        .overview, "Not shown", token, status: 400,
        [
          HTML("h1", ["Not shown"]), HTML("p", [HTML(error.text)]),
          HTML("p", [HTML("a", [.href("./")], ["Back"])]),
        ])
    }
  }

  /// Does what a request asks that was let in to change something.
  ///
  /// - Parameters:
  ///   - isForm: Whether it comes from a form without a script, and wants a page for an answer.
  ///   - token: The session's own, which stands in that page.
  func change(_ name: String, _ body: [UInt8], isForm: Bool, token: String) -> PageAnswer {
    guard name == "apply" || Self.forms.contains(name) else {
      return .text(404, "there is no such thing to change")
    }
    guard let field = fields(of: body, isForm: isForm) else { return unreadable }
    switch name {
    case "answer": return told(answering.answer(field), isForm: isForm, token)
    case "revoke": return told(answering.revoke(field), isForm: isForm, token)
    default: return apply(field)
    }
  }

  private func fields(of body: [UInt8], isForm: Bool) -> ((String) -> String?)? {
    if isForm { return FormFields(body: body).map { fields in { fields[$0] } } }
    guard let value = try? JSONValue(parsing: body, limit: ReviewServer.bodyLimit) else { return nil }
    return { value[$0]?.text }
  }

  private var unreadable: PageAnswer {
    outcome(400, .init(isApplied: false, text: "the request cannot be read"))
  }

  private var answering: Answering { Answering(line: hooks.line) }

  private func told(_ result: Applying.Outcome?, isForm: Bool, _ token: String) -> PageAnswer {
    guard let result else { return unreadable }
    let status = result.isApplied ? 200 : 409
    if result.isApplied { hooks.say("answered from the page: \(result.text)") }
    guard isForm else { return outcome(status, result) }
    return document(
      .overview, result.isApplied ? "Done" : "No effect", token, status: status,
      [
        HTML("h1", [result.isApplied ? "Done" : "No effect"]),
        HTML("p", [.id("outcome"), .init("role", "status")], [HTML("\(result.text).")]),
        HTML("p", [HTML("a", [.href("./")], ["What waits and what was blocked"])]),
        HTML("p", [HTML("a", [.href("standing")], ["Answers that stand"])]),
      ])
  }

  private func apply(_ field: (String) -> String?) -> PageAnswer {
    guard let key = GroupKey(field), let rule = field("rule") else { return unreadable }
    do throws(ReviewProblem) {
      let result = Applying(settings: settings, hooks: hooks).apply(try find(key), seen: rule)
      if result.isApplied {
        hooks.say("\(key.place?.host ?? "") was opened for agent \(key.agent) from the page: \(result.text)")
      }
      return outcome(result.isApplied ? 200 : 409, result)
    } catch {
      return outcome(409, .init(isApplied: false, text: error.text))
    }
  }

  private func outcome(_ status: Int, _ outcome: Applying.Outcome) -> PageAnswer {
    var writer = JSONWriter()
    writer.value(
      .object([.init("applied", .bool(outcome.isApplied)), .init("text", .string(visible(outcome.text)))]))
    return PageAnswer(status: status, type: "application/json", body: writer.bytes)
  }

  // MARK: - Pages

  private func overview(_ fields: FormFields, _ token: String) throws(ReviewProblem) -> PageAnswer {
    let options = FilterForm.names.dropLast().map { "\($0)" }
    let given = options.compactMap { name in fields[name].map { (name, $0) } }
    let filter = try hooks.filter(Dictionary(uniqueKeysWithValues: given))
    let page = OverviewPage(fields, try summary(filter), inbox: try inbox(token), at: hooks.now())
    return document(.overview, "Blocked", token, page.content)
  }

  private func inbox(_ token: String) throws(ReviewProblem) -> InboxSection {
    let questions = heard { line throws(ReviewProblem) in try line.questions() }
    var totals: [Tally] = []
    if case .success(let list)? = questions, !list.isEmpty { totals = try summary(RecordFilter()).totals }
    return InboxSection(
      questions: questions, state: attendance?.state ?? .away, ended: attendance?.ended ?? [],
      totals: totals, token: token)
  }

  private func standing(_ token: String) -> PageAnswer {
    let grants = heard { line throws(ReviewProblem) in try line.grants() }
    return document(
      .standing, "Answers", token, StandingPage(grants: grants, token: token).content)
  }

  /// What the gate says; nil where none is spoken to.
  private func heard<Value>(_ ask: (GateLine) throws(ReviewProblem) -> Value) -> Result<Value, ReviewProblem>?
  {
    guard let line = hooks.line else { return nil }
    return Result { () throws(ReviewProblem) in try ask(line) }
  }

  private func group(_ fields: FormFields, _ token: String) throws(ReviewProblem) -> PageAnswer {
    guard let key = GroupKey({ fields[$0] }) else { throw ReviewProblem("The address names no group.") }
    let group = try find(key)
    let records: [LogRecord]
    do throws(AuditError) { records = try log.records(of: key, limit: GroupPage.recordLimit) } catch {
      throw ReviewProblem("\(error)")
    }
    let shown = GroupPage(
      group: group, records: records, change: change(for: group), overlay: settings.overlay)
    return document(.overview, key.place?.host ?? "Unreadable", token, shown.content)
  }

  private func change(for group: BlockedReport.Group) -> Result<Overlay.Change, ReviewProblem>? {
    do throws(ReviewProblem) {
      return try Applying(settings: settings, hooks: hooks).change(for: group).map { .success($0) }
    } catch {
      return .failure(error)
    }
  }

  private func explain(_ fields: FormFields, _ token: String) -> PageAnswer {
    let names = ["destination", "agent", "protocol", "method", "path"]
    let given = names.compactMap { name in fields[name].map { (name, $0) } }
    let question = Dictionary(uniqueKeysWithValues: given)
    let lines = question["destination"] == nil || settings.policy == nil ? nil : hooks.explain(question)
    let page = ExplainPage(fields: fields, lines: lines, hasPolicy: settings.policy != nil)
    return document(.explain, "Explain", token, page.content)
  }

  private func integrity(_ token: String) -> PageAnswer {
    let known = watch.knowledge
    return document(
      .integrity, "Log and gate", token,
      [
        HTML("h1", ["Log and gate"]),
        section(
          "verified", "Is the log whole?",
          [
            known.integrity.html, HTML("p", [.class("faint")], [HTML(log.path)]),
          ]),
        section("gate", "The gate", [known.gate.html]),
      ])
  }

  private func document(
    _ page: PageFrame.Page, _ title: String, _ token: String, status: Int = 200, _ content: [HTML]
  ) -> PageAnswer {
    let frame = PageFrame(
      title: title, page: page, token: token, waiting: attendance?.waiting ?? 0, now: hooks.now(),
      warning: watch.knowledge.warning(policyMode: policyMode))
    return PageAnswer(
      status: status, type: "text/html; charset=utf-8", body: Array(frame.document(content).markup.utf8))
  }

  private var policyMode: Mode? {
    guard let path = settings.policy else { return nil }
    return try? hooks.loader(directory(of: path)).load(path: path).policy.mode
  }

  // MARK: - Records

  private func summary(_ filter: RecordFilter) throws(ReviewProblem) -> LogSummary {
    do throws(AuditError) { return try log.summary(filter) } catch { throw ReviewProblem("\(error)") }
  }

  private func find(_ key: GroupKey) throws(ReviewProblem) -> BlockedReport.Group {
    let report = BlockedReport(try summary(key.filter))
    guard let group = report.groups.first(where: { $0.fold == nil && GroupKey($0) == key }) else {
      throw ReviewProblem("There is no such group in the log.")
    }
    return group
  }
}
