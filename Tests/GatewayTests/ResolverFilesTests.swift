import Addressing
import SystemPackage
import Testing

@testable import Gateway

@Suite("The resolver's files")
struct ResolverFilesTests {
  struct Line: Sendable, CustomTestStringConvertible {
    var line: String, name: String, addresses: [String]?, because: String
    var testDescription: String { because }
  }

  static let lines: [Line] = [
    Line(line: "10.0.0.5 db.corp", name: "db.corp", addresses: ["10.0.0.5"], because: "plain"),
    Line(
      line: "10.0.0.5\tdb.corp\tdb", name: "db", addresses: ["10.0.0.5"], because: "tabs and a second name"),
    Line(line: "  ::1  localhost", name: "localhost", addresses: ["::1"], because: "blanks in front"),
    Line(
      line: "10.0.0.5 DB.Corp.\r", name: "db.corp", addresses: ["10.0.0.5"], because: "case, root dot, CR"),
    Line(line: "10.0.0.5 a #b", name: "a", addresses: ["10.0.0.5"], because: "a comment behind"),
    Line(line: "10.0.0.5 a #b", name: "b", addresses: nil, because: "a name in a comment"),
    Line(line: "#10.0.0.5 a", name: "a", addresses: nil, because: "a comment"),
    Line(line: "010.0.0.5 a", name: "a", addresses: nil, because: "POL-12: an odd address is none"),
    Line(line: "fe80::1%eth0 a", name: "a", addresses: nil, because: "a zone"),
    Line(line: "10.0.0.5 a/b a", name: "a", addresses: ["10.0.0.5"], because: "a bad name hides no good one"),
    Line(line: "10.0.0.5", name: "a", addresses: nil, because: "no name"),
    Line(
      line: "10.0.0.5 a\n10.0.0.6 a\n10.0.0.5 a", name: "a", addresses: ["10.0.0.5", "10.0.0.6"],
      because: "several lines, each address once"),
    Line(line: "", name: "a", addresses: nil, because: "empty"),
  ]

  @Test("hosts(5) lines", arguments: lines)
  func hosts(_ c: Line) throws {
    let file = HostsFile.parse(Array(c.line.utf8))
    #expect(file.addresses(of: try Hostname(c.name))?.map(\.description) == c.addresses)
  }

  @Test("A hosts file is bounded: names, addresses of a name, bytes")
  func bounds() throws {
    let names = (0..<70_000).map { "1.1.1.1 n\($0)\n" }.joined()
    #expect(HostsFile.parse(Array(names.utf8)).count == HostsFile.maximumNames)
    let addresses = (0..<200).map { "1.1.1.\($0) a\n" }.joined()
    #expect(HostsFile.parse(Array(addresses.utf8)).addresses(of: try Hostname("a"))?.count == 64)
    let long = [UInt8](repeating: 0x20, count: HostsFile.maximumSize) + Array("\n1.1.1.1 a\n".utf8)
    #expect(HostsFile.parse(long).count == 0)
  }

  @Test(
    "A hosts file that is missing, a directory or binary is an empty one",
    arguments: ["/nonexistent", "/etc", "/bin/sh"])
  func missing(_ path: String) {
    #expect(HostsFile.load(path: path).count == 0)
  }

  @Test(
    "resolv.conf(5): nameserver lines alone count",
    arguments: [
      ("nameserver 11.11.0.53\n", ["11.11.0.53:53"], "one"),
      ("nameserver 11.11.0.53\nnameserver 2a0e::53\n", ["11.11.0.53:53", "[2a0e::53]:53"], "two, in order"),
      (
        "search evil.test\noptions ndots:5\nnameserver\t11.11.0.53", ["11.11.0.53:53"],
        "DNS-27: a search list is nothing to us"
      ),
      ("# nameserver 1.1.1.1\n; nameserver 1.1.1.1\n", [], "comments"),
      ("nameserver fe80::1%eth0\nnameserver 0x7f.1\nnameserver x\nnameserver\n", [], "no addresses"),
      ("nameservers 11.11.0.53\n", [], "another word"),
      (
        "nameserver 1.0.0.1\nnameserver 1.0.0.2\nnameserver 1.0.0.3\nnameserver 1.0.0.4",
        ["1.0.0.1:53", "1.0.0.2:53", "1.0.0.3:53"], "MAXNS"
      ),
      ("", [], "empty"),
    ])
  func resolvConf(_ text: String, _ expected: [String], _ because: String) {
    #expect(ResolverSettings.parse(resolvConf: Array(text.utf8)).map(\.description) == expected, "\(because)")
  }

  @Test("A missing or empty resolv.conf is an error with its remedy")
  func noResolver() throws {
    #expect(throws: ResolverSettingsError.unreadable("/nonexistent", .noSuchFileOrDirectory)) {
      try ResolverSettings.load(path: "/nonexistent")
    }
    let error = #expect(throws: ResolverSettingsError.self) { try ResolverSettings.load(path: "/dev/null") }
    let words = try #require(error).description
    #expect(
      words
        == "/dev/null: no resolver: there is no usable nameserver line. Add one, or name one with --dns-upstream ADDRESS[:PORT]."
    )
  }

  @Test("A file's stamp changes with its content's size")
  func stamp() {
    #expect(FileStamp("/bin/sh") != nil)
    #expect(FileStamp("/bin/sh") == FileStamp("/bin/sh"))
    #expect(FileStamp("/bin/sh") != FileStamp("/bin/ls"))
    #expect(FileStamp("/nonexistent") == nil)
  }
}
