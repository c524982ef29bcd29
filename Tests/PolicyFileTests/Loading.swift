import Foundation
import Policy
import PolicyFile

/// The moment at which the tests load policies.
let testNow = Timestamp("2026-11-24T10:00:00Z") ?? Timestamp(milliseconds: 0)

func loader(
  _ runMode: RunMode = .serve, hasDNSListener: Bool? = false, root: String = "/nonexistent",
  environment: [String: String] = [:], workingDirectory: String = "/project"
) -> PolicyLoader {
  PolicyLoader(
    runMode: runMode, environment: environment, workingDirectory: workingDirectory, now: testNow,
    hasDNSListener: hasDNSListener, root: root)
}

/// The errors of a policy text, one line each without the file's name; empty when it loads.
func errors(_ text: String, _ loader: PolicyLoader = loader()) -> [String] {
  do {
    _ = try loader.load(text: text, named: "p")
    return []
  } catch {
    return error.diagnostics.map { String($0.description.dropFirst(2)) }
  }
}

/// The warnings of a policy text that loads.
func warnings(_ text: String, _ loader: PolicyLoader = loader()) throws -> [String] {
  try loader.load(text: text, named: "p").warnings.map { String($0.description.dropFirst(2)) }
}

/// A policy with one rule, whose body is given.
func policy(rule: String) -> String { "version: 1\nrules:\n  - { id: r, \(rule) }\n" }
