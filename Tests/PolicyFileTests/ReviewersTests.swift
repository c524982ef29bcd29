import Foundation
import Policy
import Testing

@testable import PolicyFile

@Suite("Who may review")
struct ReviewersTests {
  private let text =
    "version: 1\nreviewers: { read: [alice], approve: [1002, bob], edit: [carol] }\nrules: []\n"

  private func machine(_ passwd: String) throws -> URL {
    let root = FileManager.default.temporaryDirectory.appending(path: "reviewers-\(UUID())")
    try FileManager.default.createDirectory(
      at: root.appending(path: "etc"), withIntermediateDirectories: true,
      attributes: [.posixPermissions: 0o755])
    try passwd.write(to: root.appending(path: "etc/passwd"), atomically: true, encoding: .utf8)
    return root
  }

  @Test("users are numbers, or names that the machine knows; the first line of a name counts")
  func names() throws {
    let root = try machine(
      "root:x:0:0::/root:/bin/sh\nalice:x:1001:1001::/home/alice:/bin/sh\nbob:x:1003:1003::/:/bin/sh\n"
        + "bob:x:0:0::/:/bin/sh\ncarol:x:many:1::/:/bin/sh\nshort:x:7\n")
    defer { try? FileManager.default.removeItem(at: root) }
    let loaded = try loader(root: root.path).load(text: text, named: "p")
    #expect(loaded.policy.reviewers.roles == [1001: .read, 1002: .approve, 1003: .approve])
    #expect(loaded.warnings.contains { "\($0)".contains("this machine knows no user 'carol'") })
  }

  @Test("a name that nobody has gives nobody the role")
  func unknown() throws {
    let loaded = try loader().load(text: text, named: "p")
    #expect(loaded.policy.reviewers.roles == [1002: .approve])
    #expect(loaded.warnings.count { "\($0)".contains("nobody gets the role") } == 3)
  }

  @Test("root and the gate's own user do everything, a stranger nothing, and each role holds those before it")
  func roles() {
    let reviewers = Reviewers([1001: .read, 1002: .approve, 1003: .edit])
    #expect(
      [0, 5, 1001, 1002, 1003, 1004].map { reviewers.role(of: $0, gateUser: 5) } == [
        .edit, .edit, .read, .approve, .edit, nil,
      ])
    let table = ReviewerRole.allCases.map { role in ReviewerRole.allCases.map(role.covers) }
    #expect(table == [[true, false, false], [true, true, false], [true, true, true]])
  }
}
