extension ResolverScenarioTests {
  static let familiesStories = [
    ResolverScenario(
      name: "both are asked at once, IPv6 comes first", ipv6: true,
      steps: """
        ask www.test
        sent AAAA 11.11.0.53
        sent A 11.11.0.53
        reply A www.test 60 A 11.11.0.10
        waiting www.test
        wait 10
        reply AAAA www.test 60 AAAA 2a0e:b107:11::10
        result www.test 2a0e:b107:11::10 11.11.0.10
        quiet
        """),
    ResolverScenario(
      name: "RFC 8305: the second is waited for 50 ms, and comes too late for this answer only", ipv6: true,
      steps: """
        ask www.test
        reply A www.test 60 A 11.11.0.10
        wait 49
        waiting www.test
        wait 1
        result www.test 11.11.0.10
        sent AAAA 11.11.0.53
        ask www.test
        result www.test 11.11.0.10
        reply AAAA www.test 60 AAAA 2a0e:b107:11::10
        waiting www.test
        ask www.test
        result www.test 2a0e:b107:11::10 11.11.0.10
        """),
    ResolverScenario(
      name: "IPv6 alone is not told before IPv4 had its chance", ipv6: true,
      steps: """
        ask www.test
        reply AAAA www.test 60 AAAA 2a0e:b107:11::10
        waiting www.test
        reply A www.test 60 A 11.11.0.10
        result www.test 2a0e:b107:11::10 11.11.0.10
        """),
    ResolverScenario(
      name: "no address in one family waits for the other", ipv6: true,
      steps: """
        ask www.test
        reply AAAA auth test 60 SOA 30
        wait 1000
        waiting www.test
        reply A www.test 60 A 11.11.0.10
        result www.test 11.11.0.10
        """),
    ResolverScenario(
      name: "no address in both", ipv6: true,
      steps: """
        ask www.test
        reply AAAA auth test 60 SOA 30
        reply A auth test 60 SOA 30
        result www.test noAddresses
        """),
    ResolverScenario(
      name: "NXDOMAIN for one family does not hide the other's addresses", ipv6: true,
      steps: """
        ask www.test
        reply AAAA nxdomain
        reply A www.test 60 A 11.11.0.10
        result www.test 11.11.0.10
        """),
    ResolverScenario(
      name: "trouble with one family tells more than no address in the other", ipv6: true,
      steps: """
        ask www.test
        reply AAAA auth test 60 SOA 30
        reply A servfail
        result www.test serverFailure
        """),
    ResolverScenario(
      name: "one family in trouble does not delay the other more than 50 ms", ipv6: true,
      steps: """
        ask www.test
        reply A www.test 60 A 11.11.0.10
        wait 50
        result www.test 11.11.0.10
        wait 4000
        quiet
        ask www.test
        result www.test 11.11.0.10
        count udp 3
        """),
    ResolverScenario(
      name: "the chains of both families are handed back", ipv6: true,
      steps: """
        ask www.test
        reply AAAA www.test 60 CNAME six.test; six.test 60 AAAA 2a0e:b107:11::10
        reply A www.test 60 CNAME four.test; four.test 60 A 11.11.0.10
        result www.test 2a0e:b107:11::10 11.11.0.10 via six.test four.test
        """),
    ResolverScenario(
      name: "an alias in both chains is handed back once", ipv6: true,
      steps: """
        ask www.test
        reply AAAA www.test 60 CNAME b.test; b.test 60 AAAA 2a0e:b107:11::10
        reply A www.test 60 CNAME b.test; b.test 60 CNAME c.test; c.test 60 A 11.11.0.10
        result www.test 2a0e:b107:11::10 11.11.0.10 via b.test c.test
        """),
    ResolverScenario(
      name: "without an IPv6 way out no AAAA is asked",
      steps: """
        ask www.test
        reply A auth test 60 SOA 30
        result www.test noAddresses
        count udp 1
        """),
  ]

  static let memoryStories = [
    ResolverScenario(
      name: "DNS-24: a time to live of 0 counts 5 s",
      steps: """
        ask www.test
        reply A www.test 0 A 11.11.0.10
        result www.test 11.11.0.10
        wait 4999
        ask www.test
        result www.test 11.11.0.10
        quiet
        wait 1
        ask www.test
        waiting www.test
        sent A 11.11.0.53
        """),
    ResolverScenario(
      name: "DNS-24: one of 2^31-1 counts 3600 s",
      steps: """
        ask www.test
        reply A www.test 2147483647 A 11.11.0.10
        result www.test 11.11.0.10
        wait 3599999
        ask www.test
        result www.test 11.11.0.10
        wait 1
        ask www.test
        waiting www.test
        """),
    ResolverScenario(
      name: "DNS-24: one with the top bit set counts 5 s",
      steps: """
        ask www.test
        reply A www.test 4294967295 A 11.11.0.10
        result www.test 11.11.0.10
        wait 5000
        ask www.test
        waiting www.test
        """),
    ResolverScenario(
      name: "the shortest time to live of the chain counts",
      steps: """
        ask cn.test
        reply A cn.test 10 CNAME b.test; b.test 3600 A 11.11.0.10
        result cn.test 11.11.0.10 via b.test
        wait 9999
        ask cn.test
        result cn.test 11.11.0.10 via b.test
        wait 1
        ask cn.test
        waiting cn.test
        """),
    ResolverScenario(
      name: "the shortest time to live counts over several responses too",
      steps: """
        ask cn.test
        reply A cn.test 10 CNAME b.test
        reply A b.test 3600 A 11.11.0.10
        result cn.test 11.11.0.10 via b.test
        wait 10000
        ask cn.test
        waiting cn.test
        """),
    ResolverScenario(
      name: "RFC 2308: a denial counts as long as the SOA's MINIMUM",
      steps: """
        ask www.test
        reply A nxdomain auth test 3600 SOA 30
        result www.test nameDoesNotExist
        wait 29999
        ask www.test
        result www.test nameDoesNotExist
        wait 1
        ask www.test
        waiting www.test
        """),
    ResolverScenario(
      name: "RFC 2308: or as its time to live",
      steps: """
        ask www.test
        reply A auth test 20 SOA 3600
        result www.test noAddresses
        wait 20000
        ask www.test
        waiting www.test
        """),
    ResolverScenario(
      name: "an SOA of another zone does not count, so the denial does for 5 s",
      steps: """
        ask www.test
        reply A nxdomain auth evil 3600 SOA 3600
        result www.test nameDoesNotExist
        wait 5000
        ask www.test
        waiting www.test
        """),
    ResolverScenario(
      name: "trouble is remembered for 1 s, not for ever",
      steps: """
        ask www.test
        reply A servfail
        result www.test serverFailure
        wait 999
        ask www.test
        result www.test serverFailure
        wait 1
        ask www.test
        sent A 11.11.0.53
        """),
    ResolverScenario(
      name: "only the family that ran out is asked again", ipv6: true,
      steps: """
        ask www.test
        reply AAAA www.test 3600 AAAA 2a0e:b107:11::10
        reply A www.test 10 A 11.11.0.10
        result www.test 2a0e:b107:11::10 11.11.0.10
        wait 10000
        ask www.test
        sent A 11.11.0.53
        count udp 3
        reply A www.test 10 A 11.11.0.11
        result www.test 2a0e:b107:11::10 11.11.0.11
        """),
  ]
}
