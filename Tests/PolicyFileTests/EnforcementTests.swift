import Policy
import PolicyFile
import Testing

/// DESIGN row 15: what a run mode cannot enforce does not load there.
@Suite struct EnforcementTests {
  @Test(
    "udp cannot be enforced in serve and run, for any action; the other modes take it",
    arguments: ["allow", "ask", "deny"])
  func udp(_ action: String) {
    let text = policy(rule: "action: \(action), to: [a.example], protocol: udp, ports: [123]")
    #expect(
      errors(text) == [
        "3:\(41 + action.utf8.count): protocol udp cannot be enforced in serve, which carries TCP only. "
          + "Remove the rule, for what is not carried does not get out, or start 'exitgate sidecar' or "
          + "'exitgate gateway'."
      ])
    #expect(
      errors(text, loader(.run)) == [
        "3:\(41 + action.utf8.count): protocol udp cannot be enforced in run, whose network has no way out for "
          + "datagrams. Remove the rule, for nothing but connections and DNS gets out, or start 'exitgate sidecar'."
      ])
    for mode in [RunMode.sidecar, .gateway] { #expect(errors(text, loader(mode)).isEmpty) }
  }

  @Test("limits that the kernel cannot hold datagrams to do not load; what is asked for names, the gate sees")
  func udpLimits() {
    let body = "action: allow, protocol: udp, to: [a.example], ports: [123], limits: "
    for mode in [RunMode.sidecar, .gateway] {
      #expect(errors(policy(rule: body + "{ dns-labels: 64KiB }"), loader(mode)).isEmpty)
      #expect(
        errors(policy(rule: body + "{ bytes-out: 1MiB, duration: 1h }"), loader(mode)) == [
          "3:75: protocol udp cannot be held to 'bytes-out', 'duration'. Remove it; 'expires' ends the rule "
            + "and its flows, and 'dns-labels' limits what is asked for names."
        ])
      for limit in ["connections: 1", "bytes-in: 1MiB"] {
        #expect(errors(policy(rule: body + "{ \(limit) }"), loader(mode)).count == 1)
      }
    }
  }

  @Test("udp rules for names open no more ports than the kernel is told of; those for blocks any number")
  func udpPorts() {
    let body = "action: allow, protocol: udp, "
    for mode in [RunMode.sidecar, .gateway] {
      #expect(errors(policy(rule: body + "to: [a.example], ports: [\"1000-1255\"]"), loader(mode)).isEmpty)
      #expect(errors(policy(rule: body + "to: [a.example], ports: [\"1000-1256\"]"), loader(mode)).count == 1)
      #expect(errors(policy(rule: body + "to: [192.0.2.0/24], ports: [\"1-65535\"]"), loader(mode)).isEmpty)
    }
  }

  @Test("an agent that nothing but its interface tells apart is one in gateway alone; check warns of it")
  func interfaces() throws {
    let text = "version: 1\nagents: { ci: { by: interface } }\nrules: []\n"
    #expect(errors(text, loader(.gateway)).isEmpty)
    for mode in [RunMode.serve, .run, .sidecar] {
      #expect(errors(text, loader(mode, hasDNSListener: false)).first?.contains("--interface IF=ci") == true)
    }
    #expect(errors(text, loader(.serve, hasDNSListener: nil)).isEmpty)
    let both = text.replacing("by: interface", with: "by: interface, listen: 127.0.0.1:3129")
    #expect(errors(both, loader(.serve, hasDNSListener: false)).isEmpty)
  }

  @Test("dns needs a DNS listener in serve")
  func dns() {
    let text = policy(rule: "action: allow, to: [a.example], protocol: dns, types: [TXT]")
    #expect(errors(text).count == 1)
    #expect(errors(text, loader(.serve, hasDNSListener: true)).isEmpty)
    #expect(errors(text, loader(.sidecar)).isEmpty)
  }

  @Test("paths inside https are out of sight, so a rule with them does not load; plain http takes them")
  func paths() {
    let body = "action: allow, to: [a.example], http: [{ path: \"/a/**\" }]"
    #expect(errors(policy(rule: body)).count == 1)
    #expect(errors(policy(rule: body + ", protocol: http")).isEmpty)
  }

  @Test("allow-loopback goes with names in full and blocks, never with a wildcard")
  func loopback() {
    let body = "action: allow, allow-loopback: true"
    #expect(errors(policy(rule: body + ", to: [\"*.a.example\"]")).count == 1)
    #expect(errors(policy(rule: body + ", to: [\"**.a.example\"]")).count == 1)
    #expect(errors(policy(rule: body + ", to: [a.example, 127.0.0.0/8, 192.0.2.0/24]")).isEmpty)
  }
}
