/// One thing that is wrong, or doubtful, in a policy file: where, what, and the way out.
public struct Diagnostic: Hashable, Sendable, CustomStringConvertible {
  /// The file's path as it was named, or `builtin:NAME`, `system:NAME`.
  public var file: String
  /// From 1.
  public var line: Int
  /// In characters, from 1.
  public var column: Int
  /// What is wrong, without a full stop.
  public var cause: String
  /// What to write or do instead, without a full stop.
  public var remedy: String
  /// Whether the policy loads all the same.
  public var isWarning: Bool

  /// Makes a diagnostic.
  public init(file: String, line: Int, column: Int, cause: String, remedy: String, isWarning: Bool = false) {
    self.file = file
    self.line = line
    self.column = column
    self.cause = cause
    self.remedy = remedy
    self.isWarning = isWarning
  }

  /// `file:line:column: cause. Remedy.`
  public var description: String { "\(file):\(line):\(column): \(cause). \(remedy)." }
}

extension Diagnostic: Comparable {
  /// By place, then by text, so that the same file always gives the same list.
  public static func < (left: Diagnostic, right: Diagnostic) -> Bool {
    if left.file != right.file { return left.file < right.file }
    if (left.line, left.column) != (right.line, right.column) {
      return (left.line, left.column) < (right.line, right.column)
    }
    return (left.cause, left.remedy) < (right.cause, right.remedy)
  }
}

/// Why a policy does not load: every error of every file, sorted by place.
public struct PolicyFileError: Error, Hashable, Sendable, CustomStringConvertible {
  /// Never empty, and errors only.
  public var diagnostics: [Diagnostic]

  /// One line for each diagnostic.
  public var description: String { diagnostics.map(\.description).joined(separator: "\n") }
}

/// Collects what is found while one policy and its includes are read.
///
/// Confined to the load that made it.
final class DiagnosticSink {
  /// More errors than a person reads; a hostile file must not fill the memory.
  static let limit = 1000

  private(set) var errors: Set<Diagnostic> = []
  private(set) var warnings: Set<Diagnostic> = []

  /// Whether further errors would be dropped, so that looking for them is idle.
  var isFull: Bool { errors.count >= Self.limit }

  /// Takes a diagnostic; the same one twice counts once.
  func add(_ diagnostic: Diagnostic) {
    if diagnostic.isWarning {
      if warnings.count < Self.limit { warnings.insert(diagnostic) }
    } else if !isFull {
      errors.insert(diagnostic)
    }
  }

  /// Throws when there was any error.
  func check() throws(PolicyFileError) {
    guard errors.isEmpty else { throw PolicyFileError(diagnostics: errors.sorted()) }
  }
}

/// Shows text from a file in a diagnostic: cut to 60 characters, with
/// everything escaped that could drive a terminal or pass for something else.
func quoted(_ text: String) -> String {
  var shown = "'"
  for (index, scalar) in text.unicodeScalars.enumerated() {
    guard index < 60 else {
      shown += "…"
      break
    }
    shown += isHarmless(scalar) ? String(scalar) : scalar.escaped(asASCII: true)
  }
  return shown + "'"
}

private func isHarmless(_ scalar: Unicode.Scalar) -> Bool {
  if scalar.isASCII { return (0x20...0x7e).contains(scalar.value) }
  return switch scalar.properties.generalCategory {
  case .uppercaseLetter, .lowercaseLetter, .otherLetter, .decimalNumber: true
  default: false
  }
}
