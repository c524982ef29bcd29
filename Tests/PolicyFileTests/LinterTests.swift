import Policy
import PolicyFile
import Testing

/// Warnings: what loads but is probably not what was meant.
@Suite struct LinterTests {
  private func single(_ text: String) throws -> String? {
    let found = try warnings(text)
    #expect(found.count <= 1)
    return found.first
  }

  @Test(
    "row 8: a rule's end is announced seven days ahead",
    arguments: [
      ("2026-11-24T09:59:59Z", "expired at"), ("2026-11-24T10:00:00Z", "expired at"),
      ("2026-11-24T10:00:01Z", "expires within 7 days"), ("2026-12-01T10:00:00Z", "expires within 7 days"),
      ("2026-12-01T10:00:01Z", nil),
    ] as [(String, String?)])
  func expiry(_ end: String, _ words: String?) throws {
    let warning = try single(policy(rule: "action: allow, to: [a.example], expires: \(end)"))
    #expect(warning?.contains(words ?? "") == (words == nil ? nil : true))
  }

  @Test(
    "a block that the floor takes away whole never matches",
    arguments: [
      ("10.0.0.0/8", "", true), ("10.0.0.0/8", ", allow-private: true", false), ("8.0.0.0/8", "", true),
      ("127.0.0.1", ", allow-private: true", true), ("127.0.0.1", ", allow-loopback: true", false),
      ("11.66.0.0/16", "", false), ("192.0.2.1", "", true), ("0.0.0.0/0", "", true),
    ])
  func blocks(_ block: String, _ flags: String, _ warns: Bool) throws {
    #expect(try (single(policy(rule: "action: allow, to: [\(block)]\(flags)")) != nil) == warns)
  }

  @Test("an allow rule that a deny rule covers never matches")
  func shadowed() throws {
    let denial = "  - { id: no, action: deny, to: [\"**.example.com\"], ports: [\"1-1000\"] }\n"
    let allow = { policy(rule: $0) + denial }
    #expect(
      try single(allow("action: allow, to: [api.example.com]"))?.contains(
        "the deny rule 'no' (p:4) covers it") == true)
    #expect(try single(allow("action: ask, to: [\"*.api.example.com\"]")) != nil)
    #expect(try single(allow("action: allow, to: [api.example.com], ports: [443, 8443]")) == nil)
    #expect(try single(allow("action: allow, to: [api.example.com], protocol: http")) == nil)
    #expect(try single(allow("action: allow, to: [api.example.org]")) == nil)
    let expired = denial.replacing(" }", with: ", expires: 2020-01-01T00:00:00Z }")
    #expect(try warnings(policy(rule: "action: allow, to: [api.example.com]") + expired).count == 1)
  }

  @Test("rules that say the same, and a host that stands twice, are named")
  func duplicates() throws {
    let text = """
      version: 1
      rules:
        - { id: a, action: allow, to: [x.example, y.example], reason: one }
        - { id: b, action: allow, to: [y.example, X.example], reason: another }
        - { id: c, action: ask, to: [y.example, x.example] }
        - { id: d, action: allow, to: [z.example, z.example] }
      """
    #expect(
      try warnings(text) == [
        "4:5: the rule 'b' says the same as the one at p:3. Keep one of the two.",
        "6:45: 'z.example' stands in 'to' twice. Remove one of the two.",
      ])
  }

  @Test(
    "DNS-06: hosts that answer DNS over https are warned of, by name, by wildcard and by address",
    arguments: [
      "cloudflare-dns.com", "dns.google", "1.1.1.1", "8.8.8.0/24", "2606:4700:4700::/48", "*.quad9.net",
    ])
  func resolvers(_ host: String) throws {
    #expect(try single(policy(rule: "action: allow, to: [\"\(host)\"]"))?.contains("DNS over https") == true)
    #expect(try single(policy(rule: "action: deny, to: [\"\(host)\"]")) == nil)
  }

  @Test("TLS-07: wildcards under an edge that many share are warned of; a host in full is not")
  func sharedEdges() throws {
    #expect(
      try single(policy(rule: "action: allow, to: [\"*.windows.net\"]"))?.contains("many parties share")
        == true)
    #expect(try single(policy(rule: "action: allow, to: [\"*.team.blob.core.windows.net\"]")) != nil)
    #expect(try single(policy(rule: "action: allow, to: [storage.googleapis.com]")) == nil)
  }

  @Test("port 53 past the gate's own resolver, and CONNECT as a method, are warned of")
  func oddities() throws {
    #expect(
      try single(policy(rule: "action: allow, to: [a.example], protocol: tcp, ports: [\"1-100\"]"))?.contains(
        "port 53") == true)
    #expect(
      try single(
        policy(rule: "action: allow, to: [a.example], protocol: http, http: [{ methods: [CONNECT] }]")) != nil
    )
  }

  @Test("POL-01: a policy that opens nothing says so")
  func nothing() throws {
    #expect(try single("version: 1\nrules: []\n")?.contains("nothing gets out") == true)
    #expect(
      try single("version: 1\nmode: audit\nrules: []\n")?.contains("everything but the floor passes") == true)
  }
}
