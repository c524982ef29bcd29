extension ResolverScenarioTests {
  static let answersStories = [
    ResolverScenario(
      name: "an address",
      steps: """
        ask www.test
        sent A 11.11.0.53
        reply A www.test 300 A 11.11.0.10; www.test 300 A 11.11.0.11
        result www.test 11.11.0.10 11.11.0.11
        quiet
        """),
    ResolverScenario(
      name: "DNS-18: records beside the chain, before, behind and below it, are not used",
      steps: """
        ask www.test
        reply A other.test 60 A 11.66.0.66; www.test 60 A 11.11.0.10; evil.test 60 A 11.66.0.66; auth evil.test 60 A 11.66.0.66; more www.test 60 A 11.66.0.66
        result www.test 11.11.0.10
        ask other.test
        sent A 11.11.0.53
        """),
    ResolverScenario(
      name: "DNS-18: an AAAA in the answer to an A question is not used",
      steps: """
        ask www.test
        reply A www.test 60 AAAA 2a0e:b107:66::66
        result www.test noAddresses
        """),
    ResolverScenario(
      name: "DNS-19: a chain is followed and handed back, whatever order its records have",
      steps: """
        ask cn.test
        reply A c.test 60 A 11.11.0.10; b.test 60 CNAME c.test; cn.test 60 CNAME b.test
        result cn.test 11.11.0.10 via b.test c.test
        """),
    ResolverScenario(
      name: "DNS-19: a chain that the upstream leaves open is asked on, with what was followed",
      steps: """
        ask cn.test
        reply A cn.test 60 CNAME evil.test
        waiting cn.test
        sent A 11.11.0.53
        reply A evil.test 60 A 11.66.0.66
        result cn.test 11.66.0.66 via evil.test
        """),
    ResolverScenario(
      name: "DNS-19: a loop ends",
      steps: """
        ask cn.test
        reply A cn.test 60 CNAME b.test; b.test 60 CNAME cn.test
        result cn.test chainTooLong
        quiet
        """),
    ResolverScenario(
      name: "DNS-19: a loop over several responses ends",
      steps: """
        ask cn.test
        reply A cn.test 60 CNAME b.test
        reply A b.test 60 CNAME cn.test
        reply A cn.test 60 CNAME b.test
        reply A b.test 60 CNAME cn.test
        reply A cn.test 60 CNAME b.test
        reply A b.test 60 CNAME cn.test
        reply A cn.test 60 CNAME b.test
        waiting cn.test
        reply A b.test 60 CNAME cn.test
        result cn.test chainTooLong
        """),
    ResolverScenario(
      name: "DNS-19: eight aliases are followed",
      steps: """
        ask n0.test
        reply A n0.test 60 CNAME n1.test; n1.test 60 CNAME n2.test; n2.test 60 CNAME n3.test; n3.test 60 CNAME n4.test; n4.test 60 CNAME n5.test; n5.test 60 CNAME n6.test; n6.test 60 CNAME n7.test; n7.test 60 CNAME n8.test; n8.test 60 A 11.11.0.10
        result n0.test 11.11.0.10 via n1.test n2.test n3.test n4.test n5.test n6.test n7.test n8.test
        """),
    ResolverScenario(
      name: "DNS-19: nine aliases are not",
      steps: """
        ask n0.test
        reply A n0.test 60 CNAME n1.test; n1.test 60 CNAME n2.test; n2.test 60 CNAME n3.test; n3.test 60 CNAME n4.test; n4.test 60 CNAME n5.test; n5.test 60 CNAME n6.test; n6.test 60 CNAME n7.test; n7.test 60 CNAME n8.test; n8.test 60 CNAME n9.test; n9.test 60 A 11.11.0.10
        result n0.test chainTooLong
        """),
    ResolverScenario(
      name: "an alias that is no host name cannot be judged, so it is no answer",
      steps: """
        ask cn.test
        reply A cn.test 60 CNAME a!b.test; a!b.test 60 A 11.11.0.10
        result cn.test badResponse
        """),
    ResolverScenario(
      name: "an alias whose end does not exist does not exist",
      steps: """
        ask cn.test
        reply A nxdomain cn.test 60 CNAME b.test; auth test 60 SOA 30
        result cn.test nameDoesNotExist
        """),
    ResolverScenario(
      name: "an alias whose end has no address is not asked on when the zone says so",
      steps: """
        ask cn.test
        reply A cn.test 60 CNAME b.test; auth test 60 SOA 30
        result cn.test noAddresses
        quiet
        """),
    ResolverScenario(
      name: "names of the hosts file and names that never leave the host are not asked upstream",
      hosts: "10.0.0.5 printer.corp # comment\n127.0.0.9 localhost",
      steps: """
        ask printer.corp
        result printer.corp 10.0.0.5
        ask localhost
        result localhost 127.0.0.9
        ask app.localhost
        result app.localhost ::1 127.0.0.1
        ask x.onion
        result x.onion nameDoesNotExist
        quiet
        count udp 0
        """),
  ]

  static let spoofsStories = [
    ResolverScenario(
      name: "DNS-17: every wrong reply is ignored and counted, the right one used",
      steps: """
        ask www.test
        reply A wrong-id www.test 60 A 11.66.0.66
        reply A wrong-name www.test 60 A 11.66.0.66
        reply A wrong-type www.test 60 A 11.66.0.66
        reply A wrong-address www.test 60 A 11.66.0.66
        reply A wrong-port www.test 60 A 11.66.0.66
        reply A query www.test 60 A 11.66.0.66
        waiting www.test
        count mismatches 6
        reply A www.test 60 A 11.11.0.10
        result www.test 11.11.0.10
        """),
    ResolverScenario(
      name: "DNS-17: the eighth wrong reply moves the query to TCP",
      steps: """
        ask www.test
        reply A wrong-id
        reply A wrong-id
        reply A wrong-id
        reply A wrong-id
        reply A wrong-id
        reply A wrong-id
        reply A wrong-id
        sent A 11.11.0.53
        reply A wrong-id
        sent A 11.11.0.53 tcp
        reply A www.test 60 A 11.11.0.10
        result www.test 11.11.0.10
        """),
    ResolverScenario(
      name: "DNS-17: only the case is wrong: not believed over UDP, asked again over TCP",
      steps: """
        ask www.test
        reply A wrong-case www.test 60 A 11.66.0.66
        sent A 11.11.0.53 tcp
        reply A wrong-case www.test 60 A 11.11.0.10
        result www.test 11.11.0.10
        count mismatches 1
        """),
    ResolverScenario(
      name: "a truncated answer is asked again over TCP, whatever it holds",
      steps: """
        ask www.test
        reply A tc garbage www.test 60 A 11.66.0.66
        sent A 11.11.0.53 tcp
        reply A www.test 60 A 11.11.0.10
        result www.test 11.11.0.10
        count tcp 1
        """),
    ResolverScenario(
      name: "an answer that is truncated over TCP too is none",
      steps: """
        ask www.test
        reply A tc
        reply A tc www.test 60 A 11.66.0.66
        result www.test badResponse
        """),
    ResolverScenario(
      name: "a wrong reply over TCP ends with this upstream",
      upstreams: ["11.11.0.53", "11.11.0.54"],
      steps: """
        ask www.test
        reply A tc
        reply A wrong-id www.test 60 A 11.66.0.66
        sent A 11.11.0.54
        count bad 1
        """),
  ]

  static let troubleStories = [
    ResolverScenario(
      name: "OPS-07: SERVFAIL, REFUSED and FORMERR go to the next upstream, and to no other than those given",
      upstreams: ["11.11.0.53", "11.11.0.54", "11.11.0.55"],
      steps: """
        ask www.test
        reply A servfail
        sent A 11.11.0.54
        reply A refused
        sent A 11.11.0.55
        reply A formerr
        result www.test serverFailure
        quiet
        count udp 3
        count failures 3
        """),
    ResolverScenario(
      name: "OPS-07: an answer after a failure counts",
      upstreams: ["11.11.0.53", "11.11.0.54"],
      steps: """
        ask www.test
        reply A servfail
        reply A www.test 60 A 11.11.0.10
        result www.test 11.11.0.10
        """),
    ResolverScenario(
      name: "OPS-07: a silent upstream is asked twice, 2 s each",
      steps: """
        ask www.test
        wait 1999
        count udp 1
        wait 1
        count udp 2
        sent A 11.11.0.53
        wait 1999
        waiting www.test
        wait 1
        result www.test timeout
        quiet
        count udp 2
        """),
    ResolverScenario(
      name: "OPS-07: the second try goes to the second upstream",
      upstreams: ["11.11.0.53", "11.11.0.54"],
      steps: """
        ask www.test
        wait 2000
        sent A 11.11.0.54
        reply A www.test 60 A 11.11.0.10
        result www.test 11.11.0.10
        """),
    ResolverScenario(
      name: "OPS-07: a third upstream gets what is left of the 4.5 s",
      upstreams: ["11.11.0.53", "11.11.0.54", "11.11.0.55"],
      steps: """
        ask www.test
        wait 4000
        sent A 11.11.0.55
        wait 499
        waiting www.test
        wait 1
        result www.test timeout
        """),
    ResolverScenario(
      name: "OPS-07: a silent upstream is asked again after the other failed",
      upstreams: ["11.11.0.53", "11.11.0.54"],
      steps: """
        ask www.test
        wait 2000
        reply A servfail
        sent A 11.11.0.53
        wait 2000
        result www.test timeout
        """),
    ResolverScenario(
      name: "OPS-07: slow everywhere, TCP too: over at 4.5 s",
      upstreams: ["11.11.0.53", "11.11.0.54"],
      steps: """
        ask www.test
        wait 1900
        reply A tc
        wait 1900
        reply A garbage www.test 60 A 11.66.0.66
        sent A 11.11.0.54
        wait 699
        waiting www.test
        wait 1
        result www.test timeout
        quiet
        """),
    ResolverScenario(
      name: "OPS-07: truncated garbage is no answer",
      steps: """
        ask www.test
        reply A garbage www.test 60 A 11.66.0.66
        result www.test badResponse
        count bad 1
        """),
    ResolverScenario(
      name: "OPS-07: a socket that fails goes to the next upstream at once",
      upstreams: ["11.11.0.53", "11.11.0.54"],
      steps: """
        ask www.test
        fail A
        sent A 11.11.0.54
        fail A
        result www.test serverFailure
        """),
    ResolverScenario(
      name: "OPS-07: no upstream at all",
      upstreams: [],
      steps: """
        ask www.test
        result www.test serverFailure
        """),
  ]
}
