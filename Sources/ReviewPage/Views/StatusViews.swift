import Audit
import Control
import Policy

extension Knowledge {
  /// What must be read before anything else: that denials pass, or that the log is not whole.
  func warning(policyMode: Mode?) -> String? {
    let words = [gateWarning ?? modeWarning(policyMode), integrityWarning].compactMap(\.self)
    return words.isEmpty ? nil : words.joined(separator: " ")
  }

  private var gateWarning: String? {
    guard case .answered(let status) = gate else { return nil }
    if let warning = status.warning { return warning + "." }
    return status.audit.available ? nil : "The audit log cannot be written, so nothing new is allowed."
  }

  /// Where no gate answers, its policy file is the next best word.
  private func modeWarning(_ mode: Mode?) -> String? {
    if case .answered = gate { return nil }
    guard mode == .audit else { return nil }
    return "NOT ENFORCING: the policy's mode is audit; what it would deny passes and is recorded."
  }

  private var integrityWarning: String? {
    guard case .checked(let found, _) = integrity, !found.isIntact else { return nil }
    return "The audit log is NOT INTACT."
  }
}

extension Knowledge.Gate {
  var html: HTML {
    switch self {
    case .unasked:
      HTML("p", ["No gate is spoken to. Start exitgate review with --control SOCKET."])
    case .silent(let why): HTML("p", [HTML("strong", [.class("bad")], ["No answer: "]), HTML(why)])
    case .answered(let status): facts(Self.rows(status))
    }
  }

  private static func rows(_ status: GateStatus) -> [(HTML, HTML)] {
    let policy = status.policy
    let mode =
      policy.mode == .enforce
      ? HTML("strong", [.class("good")], ["enforce"]) : HTML("strong", [.class("bad")], ["audit"])
    var rows: [(HTML, HTML)] = [
      ("Mode", mode),
      ("Policy", HTML("\(policy.path), \(count(policy.rules, "rule")), generation \(policy.generation)")),
      (
        "Gate",
        HTML("version \(status.version), process \(status.pid), for \(status.uptime.components.seconds) s")
      ),
      ("Connections", HTML("\(status.connections.open) open, \(status.connections.accepted) accepted")),
    ]
    if let error = policy.lastError {
      rows.append(("Last reload", HTML("strong", [.class("bad")], [HTML("refused: \(error)")])))
    }
    return rows
  }
}

extension Knowledge.Integrity {
  var html: HTML {
    switch self {
    case .unknown: HTML("p", ["The log is being checked."])
    case .failed(let why, let time):
      HTML("p", [HTML("strong", [.class("bad")], ["It cannot be checked: "]), HTML("\(why) (\(time))")])
    case .checked(let found, let time): HTML([verdict(found, time), findings(found)])
    }
  }

  private func verdict(_ found: Verification, _ time: Timestamp) -> HTML {
    let word =
      found.isIntact
      ? HTML("strong", [.class("good")], ["Intact"]) : HTML("strong", [.class("bad")], ["NOT INTACT"])
    let rest =
      ": \(count(found.records, "record")), \(count(found.checkpoints, "good checkpoint")), "
      + "signed through record \(found.signedThrough). Checked at \(time)."
    return HTML("p", [word, HTML(rest)])
  }

  private func findings(_ found: Verification) -> HTML {
    guard !found.isIntact else { return .nothing }
    let more = found.findingCount - found.findings.count
    let rest = more > 0 ? [HTML("li", [HTML("and \(more) more")])] : []
    return HTML("ul", [.class("plain")], found.findings.map { HTML("li", [HTML($0.description)]) } + rest)
  }
}
