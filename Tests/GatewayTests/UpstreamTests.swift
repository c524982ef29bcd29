import Addressing
import Testing

@testable import Gateway

@Suite("Upstreams as they are written")
struct UpstreamTests {
  @Test(
    "an address, perhaps a port",
    arguments: [
      ("10.0.0.2", "10.0.0.2:53"), ("10.0.0.2:5353", "10.0.0.2:5353"), ("2001:db8::1", "[2001:db8::1]:53"),
      ("[2001:db8::1]:54", "[2001:db8::1]:54"),
    ])
  func plain(_ text: String, _ written: String) throws {
    let upstream = try Upstream(text)
    #expect(upstream.transport == .plain)
    #expect(upstream.description == written)
  }

  @Test(
    "with TLS, a name behind it",
    arguments: [
      ("tls://10.0.0.2#dns.corp.test", "tls://10.0.0.2:853#dns.corp.test"),
      ("tls://10.0.0.2:8853#DNS.corp.test.", "tls://10.0.0.2:8853#dns.corp.test"),
      ("tls://[2001:db8::1]:853#dns.corp.test", "tls://[2001:db8::1]:853#dns.corp.test"),
      ("tls://2001:db8::1#dns.corp.test", "tls://[2001:db8::1]:853#dns.corp.test"),
    ])
  func tls(_ text: String, _ written: String) throws {
    let upstream = try Upstream(text)
    #expect(upstream.transport == .tls(try Hostname("dns.corp.test")))
    #expect(upstream.description == written)
  }

  @Test(
    "anything else is refused",
    arguments: [
      ("", .address("")), ("dns.corp.test", .address("dns.corp.test")),
      ("10.0.0.2:0", .address("10.0.0.2:0")),
      ("10.0.0.2#dns", .address("10.0.0.2#dns")),
      ("tls://dns.test#dns.test", .address("tls://dns.test#dns.test")),
      ("TLS://10.0.0.2#dns.test", .address("TLS://10.0.0.2#dns.test")),
      ("https://10.0.0.2/", .address("https://10.0.0.2/")), ("tls://10.0.0.2", .noName("tls://10.0.0.2")),
      ("tls://10.0.0.2#", .noName("tls://10.0.0.2#")), ("tls://10.0.0.2#a b", .name("a b")),
      ("tls://10.0.0.2#10.0.0.2", .name("10.0.0.2")), ("tls://10.0.0.2#bücher.test", .name("bücher.test")),
    ] as [(String, UpstreamError)])
  func refused(_ text: String, _ error: UpstreamError) {
    #expect(throws: error) { try Upstream(text) }
    #expect(error.description.contains("Write"), "it says what to write instead")
  }

  @Test("a zone may end with a dot and have any case")
  func zones() throws {
    let forward = UpstreamForward(zone: try Hostname("corp.test"), upstream: try Upstream("10.0.0.2"))
    for text in ["corp.test=10.0.0.2", "Corp.Test.=10.0.0.2:53"] {
      #expect(try UpstreamForward(text) == forward)
    }
    let secure = try UpstreamForward("corp=tls://10.0.0.2#dns.corp")
    #expect(secure.upstream.transport == .tls(try Hostname("dns.corp")))
  }

  @Test(
    "no zone, all names and names in Unicode are refused",
    arguments: [
      ("10.0.0.2", .noZone("10.0.0.2")), ("=10.0.0.2", .noZone("=10.0.0.2")), (".=10.0.0.2", .rootZone),
      ("..=10.0.0.2", .zone("..")), ("bücher.test=10.0.0.2", .zone("bücher.test")),
      ("*.corp.test=10.0.0.2", .zone("*.corp.test")), ("corp.test=", .address("")),
      ("corp.test=dns.test", .address("dns.test")),
    ] as [(String, UpstreamError)])
  func refusedZones(_ text: String, _ error: UpstreamError) {
    #expect(throws: error) { try UpstreamForward(text) }
  }

  @Test("each upstream is asked once, in order; all of them are out of reach")
  func routes() throws {
    let routes = UpstreamRoutes(
      standard: try ["10.0.0.1", "10.0.0.1:53", "10.0.0.2"].map { try Upstream($0) },
      forwards: try ["a.test=10.0.0.3", "b.a.test=10.0.0.1", "a.test=10.0.0.4"].map {
        try UpstreamForward($0)
      })
    #expect(routes.standard.map(\.description) == ["10.0.0.1:53", "10.0.0.2:53"])
    #expect(routes.zones.map(\.name.text) == ["b.a.test", "a.test"])
    #expect(routes.zones[1].upstreams.map(\.description) == ["10.0.0.3:53", "10.0.0.4:53"])
    #expect(routes.endpoints.count == 4)
  }
}
