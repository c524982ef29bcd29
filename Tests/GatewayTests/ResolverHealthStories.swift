extension ResolverScenarioTests {
  static let healthStories = [
    ResolverScenario(
      name: "OPS-07: two silences in a row put an upstream behind the others",
      upstreams: ["11.11.0.53", "11.11.0.54"],
      steps: """
        ask a.test
        wait 2000
        reply A a.test 60 A 11.11.0.10
        result a.test 11.11.0.10
        ask b.test
        sent A 11.11.0.53
        wait 2000
        reply A b.test 60 A 11.11.0.10
        result b.test 11.11.0.10
        ask c.test
        sent A 11.11.0.54
        reply A c.test 60 A 11.11.0.10
        result c.test 11.11.0.10
        """),
    ResolverScenario(
      name: "an answer between two silences keeps it where it is",
      upstreams: ["11.11.0.53", "11.11.0.54"],
      steps: """
        ask a.test
        wait 2000
        reply A a.test 60 A 11.11.0.10
        result a.test 11.11.0.10
        ask b.test
        reply A b.test 60 A 11.11.0.10
        result b.test 11.11.0.10
        ask c.test
        wait 2000
        reply A c.test 60 A 11.11.0.10
        result c.test 11.11.0.10
        ask d.test
        sent A 11.11.0.53
        """),
    ResolverScenario(
      name: "that it will not answer is an answer: it stays up",
      upstreams: ["11.11.0.53", "11.11.0.54"],
      steps: """
        ask a.test
        reply A servfail
        reply A a.test 60 A 11.11.0.10
        result a.test 11.11.0.10
        ask b.test
        reply A refused
        reply A b.test 60 A 11.11.0.10
        result b.test 11.11.0.10
        ask c.test
        sent A 11.11.0.53
        """),
    ResolverScenario(
      name: "one question in 1 s probes it, for half a second, and costs no try of the others",
      upstreams: ["11.11.0.53", "11.11.0.54"],
      steps: """
        ask a.test
        wait 2000
        reply A a.test 60 A 11.11.0.10
        result a.test 11.11.0.10
        ask b.test
        wait 2000
        reply A b.test 60 A 11.11.0.10
        result b.test 11.11.0.10
        wait 1000
        ask c.test
        sent A 11.11.0.53
        ask d.test
        sent A 11.11.0.54
        reply A d.test 60 A 11.11.0.10
        result d.test 11.11.0.10
        wait 499
        sent A 11.11.0.53
        wait 1
        sent A 11.11.0.54
        wait 2000
        sent A 11.11.0.53
        waiting c.test
        wait 1999
        waiting c.test
        wait 1
        result c.test timeout
        """),
    ResolverScenario(
      name: "a probe in vain doubles the time to the next",
      upstreams: ["11.11.0.53", "11.11.0.54"],
      steps: """
        ask a.test
        wait 2000
        reply A a.test 60 A 11.11.0.10
        result a.test 11.11.0.10
        ask b.test
        wait 2000
        reply A b.test 60 A 11.11.0.10
        result b.test 11.11.0.10
        wait 1000
        ask c.test
        wait 500
        reply A c.test 60 A 11.11.0.10
        result c.test 11.11.0.10
        wait 1999
        ask d.test
        sent A 11.11.0.54
        reply A d.test 60 A 11.11.0.10
        result d.test 11.11.0.10
        wait 1
        ask e.test
        sent A 11.11.0.53
        wait 500
        reply A e.test 60 A 11.11.0.10
        result e.test 11.11.0.10
        wait 3999
        ask f.test
        sent A 11.11.0.54
        reply A f.test 60 A 11.11.0.10
        result f.test 11.11.0.10
        wait 1
        ask g.test
        sent A 11.11.0.53
        """),
    ResolverScenario(
      name: "an answer to a probe brings it back to its place",
      upstreams: ["11.11.0.53", "11.11.0.54"],
      steps: """
        ask a.test
        wait 2000
        reply A a.test 60 A 11.11.0.10
        result a.test 11.11.0.10
        ask b.test
        wait 2000
        reply A b.test 60 A 11.11.0.10
        result b.test 11.11.0.10
        wait 1000
        ask c.test
        wait 100
        reply A c.test 60 A 11.11.0.10
        result c.test 11.11.0.10
        ask d.test
        sent A 11.11.0.53
        """),
    ResolverScenario(
      name: "all down: asked in order, with their whole time",
      upstreams: ["11.11.0.53", "11.11.0.54"],
      steps: """
        ask a.test
        wait 4000
        result a.test timeout
        ask b.test
        wait 4000
        result b.test timeout
        wait 5000
        ask c.test
        sent A 11.11.0.53
        wait 1999
        sent A 11.11.0.53
        wait 1
        sent A 11.11.0.54
        reply A c.test 60 A 11.11.0.10
        result c.test 11.11.0.10
        ask d.test
        sent A 11.11.0.54
        """),
    ResolverScenario(
      name: "a TLS upstream whose connection fails is down at once: there is no other way to it",
      upstreams: ["tls://11.11.0.53#dns.test", "11.11.0.54"],
      steps: """
        ask a.test
        fail A
        reply A a.test 60 A 11.11.0.10
        result a.test 11.11.0.10
        ask b.test
        sent A 11.11.0.54
        """),
    ResolverScenario(
      name: "one whose TCP alone fails once is not",
      upstreams: ["11.11.0.53", "11.11.0.54"],
      steps: """
        ask a.test
        reply A tc
        fail A
        reply A a.test 60 A 11.11.0.10
        result a.test 11.11.0.10
        ask b.test
        sent A 11.11.0.53
        """),
    ResolverScenario(
      name: "an upstream that is down in one zone is so in the others",
      upstreams: ["11.11.0.53", "11.11.0.54"],
      forwards: ["corp.test=11.11.0.53", "corp.test=11.11.0.55"],
      steps: """
        ask a.test
        wait 2000
        reply A a.test 60 A 11.11.0.10
        result a.test 11.11.0.10
        ask b.test
        wait 2000
        reply A b.test 60 A 11.11.0.10
        result b.test 11.11.0.10
        ask www.corp.test
        sent A 11.11.0.55
        """),
  ]
}
