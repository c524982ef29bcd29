import Addressing
import Testing

@testable import Gateway

@Suite("Search suffixes")
struct SearchSuffixTests {
  static let files: [(text: String, names: Set<String>, because: String)] = [
    ("", [], "an empty file"),
    ("search corp.example lan\n", ["corp.example", "lan"], "each word"),
    ("search a.example\nsearch b.example\n", ["b.example"], "the last line counts"),
    ("search a.example\ndomain b.example\n", ["b.example"], "whatever its keyword"),
    ("domain a.example\nsearch b.example c.example", ["b.example", "c.example"], "without a line end"),
    ("domain a.example b.example\n", ["a.example"], "domain takes one name"),
    ("search\nsearch .\n", [], "nothing, and the root"),
    ("search a.example\nsearch\n", ["a.example"], "a keyword without names is no line"),
    ("search\tA.Example.  b.example\r\n", ["a.example", "b.example"], "case, root dot, tabs, CR"),
    ("search bad!name 1.2.3.4 ok.example\n", ["ok.example"], "what is no host name is passed over"),
    (" search a.example\n", ["a.example"], "blanks before the keyword"),
    ("# search a.example\n;search b.example\nsearchx c.example\n", [], "comments and other words"),
    ("nameserver 192.0.2.1\noptions ndots:5\nsearch a.example\n", ["a.example"], "other lines"),
    (
      "search " + (0..<40).map { "s\($0).example" }.joined(separator: " "),
      Set((0..<32).map { "s\($0).example" }), "32 at most"
    ),
  ]

  @Test("what a file names", arguments: files)
  func parse(_ text: String, _ names: Set<String>, _ because: String) {
    #expect(Set(SearchSuffixes(resolvConf: Array(text.utf8)).names.map(\.text)) == names, "\(because)")
  }

  @Test("bytes beyond 64 KiB and garbage do no harm")
  func bounds() {
    let padding =
      [UInt8](repeating: UInt8(ascii: "#"), count: SearchSuffixes.maximumSize)
      + Array("\nsearch a.example".utf8)
    #expect(SearchSuffixes(resolvConf: padding).names.isEmpty)
    #expect(SearchSuffixes(resolvConf: Array("search ".utf8) + [0xff, 0x00, 0x0a]).names.isEmpty)
    #expect(SearchSuffixes.load(path: "/nonexistent").names.isEmpty)
  }

  static let prefixes: [(name: String, prefix: String?)] = [
    ("api.github.com.corp.example", "api.github.com"), ("api.corp.example", "api"), ("corp.example", nil),
    ("api.github.com", nil), ("evilcorp.example", nil), ("a.evilcorp.example", nil),
    ("a.sub.corp.example", "a"), ("a.b.sub.corp.example", "a.b"), ("printer.lan", "printer"), ("lan", nil),
    ("api.github.com.cluster.local", "api.github.com"), ("cluster.local", nil), ("local", nil),
    ("api.github.com.default.svc.cluster.local", "api.github.com"), ("a.default.svc.cluster.local", "a"),
    ("a.notcluster.local", nil), ("a.cluster.local.example", nil),
    ("a.default.svg.cluster.local", "a.default.svg"),
    ("default.svc.cluster.local", "default"), ("svc.cluster.local", "svc"),
  ]

  @Test("the name before the longest suffix, by whole labels", arguments: prefixes)
  func prefix(_ name: String, _ prefix: String?) throws {
    let suffixes = SearchSuffixes(resolvConf: Array("search corp.example sub.corp.example lan".utf8))
    #expect(suffixes.prefix(of: try Hostname(name))?.text == prefix)
  }

  @Test("of several that fit, the one that is meant")
  func meant() throws {
    let name = try Hostname("a.test.com.svc.cluster.local"), suffixes = SearchSuffixes()
    var offered: [String] = []
    #expect(
      suffixes.prefix(of: name) {
        offered.append($0.text); return false
      } == nil)
    #expect(offered == ["a.test", "a.test.com", "a.test.com.svc"])
    #expect(suffixes.prefix(of: name) { $0.text == "a.test.com" }?.text == "a.test.com")
  }
}
