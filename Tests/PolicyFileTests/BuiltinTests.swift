import Addressing
import Policy
import PolicyFile
import Testing

/// The lists that are compiled in.
@Suite struct BuiltinTests {
  @Test("the compiled-in lists are those of allowlists/")
  func inStep() throws {
    let result = try run([Repository.path("scripts/embed-allowlists"), "--check"])
    #expect(result.status == 0, "\(result.errors)")
    #expect(BuiltinAllowlists.names == Repository.names(in: "allowlists", ofType: "yaml"))
    for name in BuiltinAllowlists.names {
      #expect(try BuiltinAllowlists.text(named: name) == Repository.text("allowlists/\(name).yaml"))
    }
    #expect(BuiltinAllowlists.text(named: "../npm") == nil)
  }

  @Test("a list loads in every run mode, without a warning", arguments: BuiltinAllowlists.names)
  func loads(_ name: String) throws {
    for mode in RunMode.allCases {
      let loaded = try loader(mode).load(text: "version: 1\ninclude: [builtin:\(name)]\n", named: "p")
      #expect(loaded.warnings.isEmpty, "\(loaded.warnings)")
      #expect(loaded.policy.rules.allSatisfy { $0.id.text.contains("/") })
    }
  }

  @Test("every rule of a list has a reason and names its source", arguments: BuiltinAllowlists.names)
  func reasons(_ name: String) throws {
    let text = try #require(BuiltinAllowlists.text(named: name))
    let lines = text.split(separator: "\n")
    let rules = lines.count { $0.hasPrefix("  - id: ") }
    #expect(lines.count { $0.hasPrefix("    reason: ") } == rules)
    #expect(lines.count { $0.hasPrefix("    source: https://") } == rules)
  }

  @Test("a list answers what it says it answers", arguments: BuiltinAllowlists.names)
  func verdicts(_ name: String) throws {
    let policy = try loader().load(text: "version: 1\ninclude: [builtin:\(name)]\n", named: "p").policy
    let expectations = try loader().expectations(ofList: name)
    #expect(expectations.contains { $0.answer == .deny })
    for expectation in expectations {
      let decision = policy.decide(
        expectation.destination, agent: expectation.agent, request: expectation.request, floor: Floor(),
        at: testNow)
      #expect(decision.answer == expectation.answer, "\(expectation.place): \(expectation.destination)")
    }
  }

  @Test("an unknown list is an error with the nearest name")
  func unknown() {
    let error = #expect(throws: PolicyFileError.self) { try loader().expectations(ofList: "nmp") }
    #expect(error?.description.hasPrefix("builtin:nmp:1:1: there is no such list. Write 'npm'") == true)
  }
}
