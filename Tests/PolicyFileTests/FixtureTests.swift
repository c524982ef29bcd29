import Foundation
import Policy
import PolicyFile
import Testing

/// `Tests/Fixtures/policies`: what loads, and what is said of what does not.
@Suite struct FixtureTests {
  static let directory = "Tests/Fixtures/policies"
  static let good = Repository.names(in: directory + "/good", ofType: "yaml")
  static let bad = Repository.names(in: directory + "/bad", ofType: "yaml")

  /// Every error of a fixture, one a line, with the directory left out.
  private func report(_ kind: String, _ name: String) -> String {
    let path = Repository.path("\(Self.directory)/\(kind)/\(name).yaml")
    do {
      _ = try loader(.sidecar).load(path: path)
      return ""
    } catch {
      return "\(error)\n".replacing(Repository.path("\(Self.directory)/\(kind)") + "/", with: "")
    }
  }

  @Test("a good policy loads", arguments: good)
  func loads(_ name: String) {
    #expect(report("good", name) == "")
  }

  /// With `EXITGATE_WRITE_GOLDEN=1` in the environment the expected texts are
  /// written anew; read the difference before it is committed.
  @Test("POL-29: a bad policy is refused whole, and every error named with place and remedy", arguments: bad)
  func refused(_ name: String) throws {
    let found = report("bad", name), golden = "\(Self.directory)/bad/\(name).txt"
    if ProcessInfo.processInfo.environment["EXITGATE_WRITE_GOLDEN"] == "1" {
      try found.write(toFile: Repository.path(golden), atomically: true, encoding: .utf8)
    }
    #expect(found != "")
    #expect(try found == Repository.text(golden))
  }

  @Test("every diagnostic reads file:line:column: cause. Remedy.", arguments: bad)
  func form(_ name: String) {
    for line in report("bad", name).split(separator: "\n") {
      #expect(
        line.wholeMatch(of: /[a-z0-9:.-]+:[1-9][0-9]*:[1-9][0-9]*: .+\. [A-Z].+[^.]\./) != nil, "\(line)")
    }
  }

  private static let hasSchemaChecker =
    ProcessInfo.processInfo.environment["CI"] == "true"
    || (try? run(["python3", "-c", "import jsonschema, yaml"]).status) == 0

  @Test(
    "schema and reader agree on everything that is a matter of structure",
    .enabled(if: hasSchemaChecker, "python3 with jsonschema and PyYAML says what the schema takes"))
  func schemaAgrees() throws {
    let files =
      Self.good.map { "good/" + $0 } + Self.bad.filter { !$0.hasPrefix("yaml-") }.map { "bad/" + $0 }
    let lists = Repository.names(in: "allowlists", ofType: "yaml").map { "../../../allowlists/" + $0 }
    let paths = (files + lists).map { Repository.path("\(Self.directory)/\($0).yaml") }
    let script = Repository.path("\(Self.directory)/schema-verdicts")
    let result = try run(["python3", script, Repository.path("allowlists/policy-v1.schema.json")] + paths)
    try #require(result.status == 0, "\(result.errors)")
    let verdicts = result.output.split(separator: "\n").map { $0.split(separator: "\t") }
    try #require(verdicts.count == paths.count)
    for verdict in verdicts {
      // What only the whole policy shows is beyond a schema; the rest is not.
      #expect(verdict[1] == (verdict[0].contains("/structure-") ? "refuses" : "accepts"), "\(verdict[0])")
    }
  }
}
