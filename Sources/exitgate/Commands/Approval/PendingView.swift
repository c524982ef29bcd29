import Audit
import Control

/// A question as the person sees who is to answer it: nothing is left out, and no byte of the agent's moves the cursor.
struct PendingView {
  private let question: PendingStatus
  private let width: Int

  /// - Parameter width: The terminal's columns.
  init(_ question: PendingStatus, width: Int) {
    (self.question, self.width) = (question, max(20, width))
  }

  var lines: [Text] {
    [heading] + question.places.flatMap(place) + facts + rules + ways
  }

  /// What is asked, and by whom.
  var brief: [Text] { [asker] + question.places.flatMap(place) + program }

  /// The same, and all that is known beside it.
  var whole: [Text] { [heading] + question.places.flatMap(place) + facts + rules }

  private var asker: Text {
    let many = question.places.count > 1 ? " any of \(question.places.count) destinations" : ""
    return "agent \(Text(ascii: question.agent, .strong)) asks for\(many)"
  }

  private var heading: Text {
    let many = question.places.count > 1 ? ", \(question.places.count) joined" : ""
    return "\(Text(question.id, .strong))  agent \(Text(ascii: question.agent, .strong)) asks for\(many)"
  }

  private func place(_ place: PendingStatus.Place) -> [Text] {
    let scheme = "\(place.traffic)://", port = ":\(place.port)"
    let view = HostView(place.host)
    let host = view.text(width: width - 2 - scheme.utf8.count - port.utf8.count)
    var lines: [Text] = ["  \(scheme)\(host)\(Text(port, .strong))"]
    if let method = place.method {
      lines.append("    \(Text(ascii: method)) \(Text(ascii: place.path ?? ""))")
    }
    if let rendering = view.rendering { lines.append("    \(rendering)") }
    if !place.leave.isEmpty {
      lines.append(
        "    \(Text("also where it leads to \(place.leave.joined(separator: " or "))", .doubtful))")
    }
    return lines
  }

  private var facts: [Text] {
    let times = question.count == 1 ? "once" : "\(question.count) times"
    let until = question.heldUntil.map { " until \($0)" } ?? ""
    let held =
      question.waiting == 0 ? "nobody waits now" : "\(count(question.waiting, "connection")) held\(until)"
    var lines: [Text] = ["  asked \(times) since \(question.since), last \(question.last); \(held)"]
    if question.more > 0 {
      lines.append("  \(Text("\(question.more) more did not fit and were denied", .doubtful))")
    }
    let rule = question.places.first?.rule.map { "the rule \($0) asks" } ?? "the policy's default asks"
    lines.append("  \(rule), generation \(question.generation)")
    if let domain = question.domain { lines.append("  registered domain \(Text(ascii: domain, .strong))") }
    lines.append(
      question.addresses.isEmpty
        ? "  addresses \(PendingStatus.unknownAddresses)"
        : "  addresses \(question.addresses.joined(separator: ", "))")
    return lines + program
  }

  private var program: [Text] {
    guard let program = question.program else { return [] }
    let number = question.processID.map { ", process \($0)," } ?? ""
    return ["  program \(Text(ascii: program))\(number) in \(Text(ascii: question.workingDirectory ?? "?"))"]
  }

  private var rules: [Text] {
    guard question.offers.contains("always"), let rule = question.places.first?.candidate else {
      return ["  no rule would be added: 'always' is not offered for this"]
    }
    let wider = question.domain.map {
      "  wider: '**.\($0)' would cover every name there; no answer here does"
    }
    return ["  always adds  - \(Text(ascii: rule))"] + (wider.map { [Text($0, .faint)] } ?? [])
  }

  private var ways: [Text] {
    let words = ["once", "time", "session", "always"].filter(question.offers.contains)
      .map { $0 == "time" ? "--for 1h" : "--\($0)" }
    return [
      "  exitgate approve \(question.id)\(question.places.count > 1 ? " --digest \(question.digest)" : "") [\(words.joined(separator: "|"))]",
      "  exitgate refuse \(question.id)\(question.offers.contains("refuse-always") ? " [--session|--always]" : " [--session]")",
    ]
  }
}

extension GrantStatus {
  /// For people.
  var line: Text {
    let places =
      places.prefix(4).joined(separator: ", ") + (places.count > 4 ? " and \(places.count - 4) more" : "")
    let whose = agent.map { " for agent \($0)" } ?? " for every agent"
    let end = expires.map { ", until \($0)" } ?? ""
    let who = by.map { ", by \($0)" } ?? ""
    let word = Text(isAllowing ? "allowed" : "refused", isAllowing ? .good : .bad)
    return "\(Text(ascii: id, .strong))  \(word) (\(scope))\(whose): \(Text(ascii: places))\(end)\(who)"
  }
}
