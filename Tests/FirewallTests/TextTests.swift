import Addressing
import Testing

@testable import Firewall

/// The text as a person reads it; `EquivalenceTests` holds that it means the same.
@Suite struct TextTests {
  @Test("the table of a device's egress, whole")
  func egress() {
    #expect(
      EgressTable(devices: ["eth0"]).table.text == """
        table netdev exitgate {
          counter frame { }

          chain egress_0 {
            type filter hook egress device "eth0" priority filter; policy drop;
            meta protocol { ip, ip6 } meta rtclassid != 4294967295 accept
            @ll,96,16 0x0806 meta protocol arp accept
            counter name "frame"
          }
        }

        """)
  }

  /// The lines that a reader looks for.
  static let lines = [
    "set live { type mark; elements = { 1, 3, 4, 5, 6, 7 } }",
    "map raw4 { type ipv4_addr . inet_proto . inet_service : mark; flags timeout; size 65536; }",
    "set private4 { type ipv4_addr; flags interval; elements = { 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16 } }",
    "set inbound { type inet_service; elements = { 80, 8080 } }",
    "# What leaves: the gate itself, what was captured, what a rule grants.",
    "type nat hook output priority -105; policy accept;",
    "type filter hook output priority filter; policy drop;",
    "meta skuid 2001 socket cgroupv2 level 2 \"pod/gate\" ct mark set 1 accept",
    "meta l4proto { tcp, udp } th dport 53 redirect to :15353",
    "ip6 daddr fd23:6f70:656e::/48 meta l4proto tcp redirect to :15001",
    "ct status dnat tcp dport 15001 accept",
    "ct state new tcp flags & (fin | syn | rst | ack) != syn goto odd",
    "ct state established ct direction reply ct mark 4294967294 tcp sport @inbound accept",
    "ct state new ct mark set ip daddr . meta l4proto . th dport map @raw4 accept",
    "ip daddr 11.0.0.0/24 udp dport 123 goto deny",
    "ip daddr 11.0.0.0/8 udp dport 123 ip daddr != @private4 ct mark set 3 accept",
    "ip daddr 10.20.0.0/15 udp dport 1000-2000 ct mark set 4 accept",
    "meta nfproto ipv6 udp dport 9000-9001 ip6 daddr != @private6 ct mark set 5 accept",
    "meta l4proto udp limit rate 20/second burst 50 packets log group 5 snaplen 128 prefix \"exitgate:denied\"",
    "counter name \"denied\"", "counter denied { }",
  ]

  @Test("the sidecar's table reads like one that was written by hand", arguments: lines)
  func sidecar(_ line: String) {
    let group = ControlGroup(level: 2, id: 1, path: "pod/gate")
    let text = Samples.sidecar(group: group).table.text.split(separator: "\n").map { $0.drop { $0 == " " } }
    #expect(text.contains(line[...]))
  }

  @Test("a gate without a control group is told by its user alone")
  func user() {
    #expect(Samples.sidecar().table.text.contains("    meta skuid 2001 ct mark set 1 accept\n"))
    #expect(!Samples.sidecar().table.text.contains("cgroupv2"))
  }

  /// Each rule in front costs every datagram about 100 ns, and a flow's own packets are nearly all there are.
  @Test("packets of a granted flow are judged first, but for those that would go on elsewhere")
  func order() throws {
    let table = Samples.sidecar().table
    let out = try #require(table.chains.first { $0.name == "out" }).rules.map(\.text)
    #expect(
      out.prefix(2) == [
        "exthdr rt exists goto odd", "ct state established ct mark != 1 ct mark @live accept",
      ])
    let incoming = try #require(table.chains.first { $0.name == "in" }).rules.map(\.text)
    #expect(
      incoming.prefix(3) == [
        "iifname \"lo\" accept", "exthdr rt exists drop", "ct state established ct mark @live accept",
      ])
  }
}
