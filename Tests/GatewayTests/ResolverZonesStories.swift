extension ResolverScenarioTests {
  static let zonesStories = [
    ResolverScenario(
      name: "a zone's names are asked of its upstream, all others of the usual one",
      forwards: ["corp.test=10.0.0.2:5353"],
      steps: """
        ask www.test
        sent A 11.11.0.53
        reply A www.test 60 A 11.11.0.10
        result www.test 11.11.0.10
        ask corp.test
        sent A 10.0.0.2
        reply A corp.test 60 A 10.0.0.10
        result corp.test 10.0.0.10
        ask a.b.corp.test
        sent A 10.0.0.2
        reply A a.b.corp.test 60 A 10.0.0.11
        result a.b.corp.test 10.0.0.11
        ask evilcorp.test
        sent A 11.11.0.53
        """),
    ResolverScenario(
      name: "the zone with most labels counts, whatever their order",
      forwards: ["test=10.0.0.1", "dev.corp.test=10.0.0.3", "corp.test=10.0.0.2"],
      steps: """
        ask a.dev.corp.test
        sent A 10.0.0.3
        ask dev.corp.test
        sent A 10.0.0.3
        ask a.corp.test
        sent A 10.0.0.2
        ask a.test
        sent A 10.0.0.1
        ask a.example
        sent A 11.11.0.53
        """),
    ResolverScenario(
      name: "the upstreams of a zone are asked in order, and then no other",
      forwards: ["corp.test=10.0.0.2", "corp.test=10.0.0.3"],
      steps: """
        ask www.corp.test
        sent A 10.0.0.2
        reply A servfail
        sent A 10.0.0.3
        reply A refused
        result www.corp.test serverFailure
        quiet
        count udp 2
        """),
    ResolverScenario(
      name: "a zone's upstream that is silent is asked again, and no other",
      forwards: ["corp.test=10.0.0.2"],
      steps: """
        ask www.corp.test
        wait 2000
        sent A 10.0.0.2
        wait 2000
        result www.corp.test timeout
        """),
    ResolverScenario(
      name: "an alias into a zone is asked of its upstream, whatever the first one said about it",
      forwards: ["corp.test=10.0.0.2"],
      steps: """
        ask www.test
        reply A www.test 60 CNAME db.corp.test; db.corp.test 60 A 11.66.0.66
        sent A 10.0.0.2
        reply A db.corp.test 60 A 10.0.0.10
        result www.test 10.0.0.10 via db.corp.test
        """),
    ResolverScenario(
      name: "an alias out of a zone is asked of the usual upstream, and a denial of the zone's is none",
      upstreams: ["11.11.0.53", "11.11.0.54"],
      forwards: ["corp.test=10.0.0.2"],
      steps: """
        ask www.corp.test
        reply A nxdomain www.corp.test 60 CNAME www.test
        sent A 11.11.0.53
        reply A servfail
        sent A 11.11.0.54
        reply A www.test 60 A 11.11.0.10
        result www.corp.test 11.11.0.10 via www.test
        """),
    ResolverScenario(
      name: "an alias that stays in its zone is followed in one answer",
      forwards: ["corp.test=10.0.0.2"],
      steps: """
        ask www.corp.test
        reply A www.corp.test 60 CNAME db.corp.test; db.corp.test 60 A 10.0.0.10
        result www.corp.test 10.0.0.10 via db.corp.test
        """),
    ResolverScenario(
      name: "cluster.local and names that never leave the host exist nowhere without a zone of their own",
      steps: """
        ask api.default.svc.cluster.local
        result api.default.svc.cluster.local nameDoesNotExist
        ask cluster.local
        result cluster.local nameDoesNotExist
        ask a.invalid
        result a.invalid nameDoesNotExist
        ask x.onion
        result x.onion nameDoesNotExist
        quiet
        count udp 0
        ask notcluster.local
        sent A 11.11.0.53
        """),
    ResolverScenario(
      name: "cluster.local with a zone of its own is asked there",
      forwards: ["cluster.local=10.96.0.10"],
      steps: """
        ask api.default.svc.cluster.local
        sent A 10.96.0.10
        """),
    ResolverScenario(
      name: "an alias to a name that never leaves the host leads nowhere, whatever was said about it",
      steps: """
        ask www.test
        reply A www.test 60 CNAME a.cluster.local; a.cluster.local 60 A 11.66.0.66
        result www.test nameDoesNotExist
        quiet
        """),
    ResolverScenario(
      name: "without a usual upstream a zone's names are resolved and no others",
      upstreams: [], forwards: ["corp.test=10.0.0.2"],
      steps: """
        ask www.test
        result www.test serverFailure
        ask www.corp.test
        reply A www.corp.test 60 CNAME www.test
        result www.corp.test serverFailure
        """),
  ]

  static let secureStories = [
    ResolverScenario(
      name: "a TLS upstream is asked over TLS alone",
      upstreams: ["tls://11.11.0.53#dns.test"],
      steps: """
        ask www.test
        sent A 11.11.0.53 tls
        reply A www.test 60 A 11.11.0.10
        result www.test 11.11.0.10
        count udp 0
        count tcp 0
        count tls 1
        """),
    ResolverScenario(
      name: "whatever becomes of it, nothing is asked in the clear",
      upstreams: ["tls://11.11.0.53#dns.test", "tls://11.11.0.54#dns.test", "tls://11.11.0.55#dns.test"],
      steps: """
        ask www.test
        reply A tc
        sent A 11.11.0.54 tls
        reply A wrong-name
        sent A 11.11.0.55 tls
        fail A
        result www.test serverFailure
        quiet
        ask slow.test
        wait 4500
        result slow.test timeout
        count udp 0
        count tcp 0
        """),
    ResolverScenario(
      name: "one after the other, as the line says: TLS, plain, TLS",
      upstreams: ["tls://11.11.0.53#dns.test", "11.11.0.54", "tls://11.11.0.55#dns.test"],
      steps: """
        ask www.test
        fail A
        sent A 11.11.0.54
        reply A tc
        sent A 11.11.0.54 tcp
        reply A servfail
        sent A 11.11.0.55 tls
        reply A www.test 60 A 11.11.0.10
        result www.test 11.11.0.10
        """),
    ResolverScenario(
      name: "behind an alias into a zone the zone's transport counts",
      forwards: ["corp.test=tls://10.0.0.2#dns.corp.test"],
      steps: """
        ask www.test
        reply A www.test 60 CNAME db.corp.test
        sent A 10.0.0.2 tls
        reply A db.corp.test 60 CNAME other.test
        sent A 11.11.0.53
        """),
  ]
}
