import Foundation
import Policy
import Testing

@testable import PolicyFile

@Suite("Adding to a policy file")
struct PolicyTextTests {
  struct Case: Sendable, CustomTestStringConvertible {
    var name: String, text: String, added: String
    var testDescription: String { name }
  }

  static let cases = [
    Case(
      name: "a block list, with comments around it",
      text: """
        # top
        version: 1
        include: [builtin:npm]   # lists
        rules:
          # first
          - id: a
            action: allow   # why
            to: [a.test]

          - { id: b, action: deny, to: ["*.b.test"] }
          # behind b

        # about the agents
        agents:
          ci: { listen: 127.0.0.1:3129 }

        """,
      added: """
        # top
        version: 1
        include: [builtin:npm, builtin:github]   # lists
        rules:
          # first
          - id: a
            action: allow   # why
            to: [a.test]

          - { id: b, action: deny, to: ["*.b.test"] }
          # behind b
          # new
          - id: new
            action: allow
            to: [new.test]

        # about the agents
        agents:
          ci: { listen: 127.0.0.1:3129 }

        """),
    Case(
      name: "a list whose dashes stand at the edge, without a last line end",
      text: "version: 1\nrules:\n- { id: a, action: allow, to: [a.test] }\n# the end",
      added:
        "version: 1\ninclude: [builtin:github]\nrules:\n- { id: a, action: allow, to: [a.test] }\n# new\n- id: new\n  action: allow\n  to: [new.test]\n# the end"
    ),
    Case(
      name: "no rules and no lists", text: "version: 1\nmode: audit\n",
      added:
        "version: 1\ninclude: [builtin:github]\nmode: audit\nrules:\n  # new\n  - id: new\n    action: allow\n    to: [new.test]\n"
    ),
    Case(
      name: "empty brackets", text: "version: 1\ninclude: []\nrules: []  # none yet\n",
      added:
        "version: 1\ninclude: [builtin:github]\nrules:   # none yet\n  # new\n  - id: new\n    action: allow\n    to: [new.test]\n"
    ),
    Case(
      name: "lists on lines of their own, quoted, with CR LF",
      text:
        "version: 1\r\ninclude:\r\n    - \"builtin:npm\" # é\r\nrules:\r\n  - { id: a, action: allow, to: [a.test] }\r\n",
      added:
        "version: 1\r\ninclude:\r\n    - \"builtin:npm\" # é\r\n    - builtin:github\nrules:\r\n  - { id: a, action: allow, to: [a.test] }\r\n  # new\n  - id: new\n    action: allow\n    to: [new.test]\n"
    ),
    Case(
      name: "quoted lists in brackets", text: "version: 1\ninclude: ['builtin:npm' , \"builtin:crates\" ]\n",
      added:
        "version: 1\ninclude: ['builtin:npm' , \"builtin:crates\", builtin:github ]\nrules:\n  # new\n  - id: new\n    action: allow\n    to: [new.test]\n"
    ),
  ]

  @Test("what stands there stays byte for byte, and the whole loads", arguments: cases)
  func additions(_ c: Case) throws {
    let text = try policyText(c.text)
    let added = try text.adding(
      includes: ["builtin:github"], rules: [["# new", "- id: new", "  action: allow", "  to: [new.test]"]])
    #expect(added == c.added)
    #expect(try loader().load(text: added, named: "added").policy.rules.contains { $0.id.text == "new" })
    #expect(try text.adding(includes: [], rules: []) == c.text)
  }

  @Test("rules in brackets are refused with the way out, not rewritten")
  func brackets() throws {
    let text = try policyText("version: 1\nrules: [{ id: a, action: allow, to: [a.test] }]\n")
    let error = #expect(throws: PolicyFileError.self) { try text.adding(includes: [], rules: [["- id: x"]]) }
    #expect(
      error?.description.contains(
        ":2:8: 'rules' is written in brackets, so nothing can be added to it. Write") == true)
  }

  private func policyText(_ text: String) throws -> PolicyText {
    let path = FileManager.default.temporaryDirectory.appending(path: "text-\(UUID().uuidString).yaml").path()
    try text.write(toFile: path, atomically: true, encoding: .utf8)
    defer { try? FileManager.default.removeItem(atPath: path) }
    return try PolicyText(path: path, with: loader())
  }
}

@Suite("Files of expectations")
struct ExpectationFileTests {
  @Test("version and expect are enough; a list's other parts are not looked at")
  func reads() throws {
    let own = try read(
      "version: 1\nexpect:\n  - { to: \"a.test:443\", answer: allow, agent: ci }\n  - { to: \"a.test:80\", protocol: http, path: /x, answer: deny }\n"
    )
    #expect(own.map(\.agent.text) == ["ci", "default"] && own.map(\.answer) == [.allow, .deny])
    #expect(own[1].request?.path == "/x" && own[0].place.hasSuffix(".yaml:3"))
    let list = try #require(BuiltinAllowlists.text(named: "npm"))
    #expect(try read(list).count == loader().expectations(ofList: "npm").count)
  }

  static let wrong = [
    ("version: 1\n", "has no 'expect'"),
    ("expect: [{ to: \"a.test:443\", answer: allow }]\n", "has no 'version'"),
    ("version: 1\nexpects: []\n", "'expects' is not a key"),
    ("version: 1\nexpect: [{ to: a.test, answer: allow }]\n", "no host and port"),
    ("version: 1\nexpect: [{ to: \"a.test:1\", answer: maybe }]\n", "answer"),
    ("version: 1\nexpect: [{ to: \"a.test:1\", answer: allow, agent: \"A b\" }]\n", "is no agent's name"),
    ("- 1\n", "a file of expectations"),
  ]

  @Test("whatever is wrong is said with its place", arguments: wrong)
  func refuses(text: String, cause: String) throws {
    let error = #expect(throws: PolicyFileError.self) { try read(text) }
    #expect(error?.description.contains(cause) == true, "\(error?.description ?? "")")
  }

  private func read(_ text: String) throws -> [PolicyFile.Expectation] {
    let path = FileManager.default.temporaryDirectory.appending(path: "expect-\(UUID().uuidString).yaml")
      .path()
    try text.write(toFile: path, atomically: true, encoding: .utf8)
    defer { try? FileManager.default.removeItem(atPath: path) }
    return try loader().expectations(path: path)
  }
}
