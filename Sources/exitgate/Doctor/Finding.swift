import PolicyFile

/// One capability of the host, and what depends on it.
struct Finding: Hashable, Sendable {
  /// How it stands.
  enum State: String, Sendable {
    case present, absent
    /// There, but not all of it.
    case limited
    /// Looking takes a privilege that is missing.
    case unlooked = "not looked at"
  }

  /// A word that stays the same from version to version: `landlock`.
  var id: String
  /// What people call it.
  var title: String
  var state: State
  /// What was found, in a few words.
  var detail: String
  /// What the run modes need it for, met or not.
  var needs: [Need] = []
}

/// What run modes need a capability for.
struct Need: Hashable, Sendable {
  enum Severity: String, Sendable {
    /// The start is refused.
    case required
    /// It starts, and holds less.
    case weakens
    /// What an agent on this host could reach past the gate, unless something else forbids it.
    case exposes
  }

  var modes: [RunMode]
  var severity: Severity
  /// What is lost where it is not met: a clause.
  var loss: String
  /// What to do about it: a sentence.
  var remedy: String
  /// Whether it is met here; nil where nobody could look.
  var isMet: Bool?
}

/// Whether a run mode can do its work on this host.
enum Verdict: String, Sendable {
  /// With all it can hold to.
  case runs
  /// It runs and holds less.
  case weaker
  /// The start would be refused.
  case cannot
  /// What it requires could not be looked at.
  case unknown

  /// Whether a start would not be refused.
  var isYes: Bool { self == .runs || self == .weaker }
}

/// A host that was looked at.
struct Examination: Hashable, Sendable {
  var findings: [Finding]

  /// What a mode lacks here, the gravest first.
  func losses(of mode: RunMode) -> [Loss] {
    let all = findings.flatMap { finding in
      finding.needs.filter { $0.modes.contains(mode) && $0.isMet != true }
        .map { Loss(finding: finding, need: $0) }
    }
    return [.required, .weakens, .exposes].flatMap { grade in all.filter { $0.need.severity == grade } }
  }

  /// Whether it can run here.
  func verdict(for mode: RunMode) -> Verdict {
    let losses = losses(of: mode)
    let required = losses.filter { $0.need.severity == .required }
    if required.contains(where: { $0.need.isMet == false }) { return .cannot }
    if !required.isEmpty { return .unknown }
    return losses.contains { $0.need.severity == .weakens } ? .weaker : .runs
  }

  /// One thing that a mode lacks.
  struct Loss: Hashable, Sendable {
    var finding: Finding
    var need: Need
  }
}
