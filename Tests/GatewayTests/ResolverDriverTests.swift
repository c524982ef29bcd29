import Addressing
import EventLoop
import Glibc
import Policy
import Testing
import Wire

@testable import Gateway

@Suite("The resolver on real sockets")
struct ResolverDriverTests {
  typealias Outcome = Result<Resolution, ResolveFailure>

  static func rig(
    _ upstreams: [Endpoint], ipv6: Bool = false, hostsPath: String? = nil
  ) throws -> LoopRig<Resolver> {
    let hosts = hostsPath.map { HostsFile.load(path: $0) } ?? HostsFile()
    let configuration = ResolverConfiguration(
      routes: UpstreamRoutes(standard: upstreams.map { Upstream($0) }), hosts: hosts, ipv6: ipv6,
      hostsPath: hostsPath)
    return try LoopRig { Resolver(loop: $0, configuration: configuration) }
  }

  static func resolve(_ name: String, _ rig: LoopRig<Resolver>) async throws -> Outcome {
    let host = try Hostname(name)
    return await rig.call { resolver, done in resolver.resolve(host, for: .default) { done($0) } }
  }

  static func address(_ text: String) throws -> Outcome {
    .success(Resolution(addresses: [try #require(IPAddress(text))]))
  }

  @Test("One UDP query, then the cache")
  func datagram() async throws {
    let stub = try ResolverStub { seen in
      [
        .init(
          bytes: DNSReply(answers: [try DNSReply.record("www.test 3600 A 11.11.0.10")]).bytes(to: seen.query))
      ]
    }
    let rig = try Self.rig([stub.endpoint])
    defer { rig.stop(); stub.stop() }
    for _ in 0..<3 { #expect(try await Self.resolve("www.test", rig) == Self.address("11.11.0.10")) }
    #expect(stub.seen.map(\.isStream) == [false])
    let statistics = await rig.call { resolver, done in done(resolver.statistics) }
    #expect(statistics.cacheHits == 2)
  }

  @Test("DNS-03: a truncated answer is asked again over TCP")
  func stream() async throws {
    let stub = try ResolverStub { seen in
      let records = try (0..<100).map { try DNSReply.record("www.test 60 A 11.11.0.\($0)") }
      return [
        .init(
          bytes: (seen.isStream ? DNSReply(answers: records) : DNSReply(flags: 0x8380)).bytes(to: seen.query))
      ]
    }
    let rig = try Self.rig([stub.endpoint])
    defer { rig.stop(); stub.stop() }
    #expect(try await Self.resolve("www.test", rig).get().addresses.count == 64)
    #expect(stub.seen.map(\.isStream) == [false, true])
  }

  @Test("DNS-17: forged replies, from another port, with another id or question, are not believed")
  func forged() async throws {
    let stub = try ResolverStub { seen in
      let evil = DNSReply(answers: [try DNSReply.record("www.test 60 A 11.66.0.66")])
      let good = DNSReply(answers: [try DNSReply.record("www.test 60 A 11.11.0.10")])
      let other = DNSQuestion(DNSName(try Hostname("other.test")), .a)
      return [
        .init(bytes: evil.bytes(to: seen.query), isForged: true),
        .init(bytes: evil.bytes(id: seen.query.id &+ 1, question: seen.query.question)),
        .init(bytes: evil.bytes(id: seen.query.id, question: other)),
        .init(bytes: []), .init(bytes: [0xff]),
        .init(bytes: good.bytes(to: seen.query)),
      ]
    }
    let rig = try Self.rig([stub.endpoint])
    defer { rig.stop(); stub.stop() }
    #expect(try await Self.resolve("www.test", rig) == Self.address("11.11.0.10"))
    let statistics = await rig.call { resolver, done in done(resolver.statistics) }
    #expect((4...5).contains(statistics.mismatches))
  }

  @Test("DNS-17: each of 200 queries has a source port of its own, spread over the kernel's range")
  func sourcePorts() async throws {
    let stub = try ResolverStub { seen in [.init(bytes: DNSReply(responseCode: 3).bytes(to: seen.query))] }
    let rig = try Self.rig([stub.endpoint])
    defer { rig.stop(); stub.stop() }
    for number in 0..<200 { _ = try await Self.resolve("n\(number).test", rig) }
    let ports = stub.seen.map(\.sourcePort)
    #expect(ports.count == 200)
    // 28,232 ports by default: 0.7 repeats expected; consecutive ones would be a sequence.
    #expect(Set(ports).count > 180)
    #expect(zip(ports, ports.dropFirst()).count { $1 == $0 &+ 1 || $1 == $0 &+ 2 } < 20)
  }

  @Test("RFC 8305: silence about AAAA delays the answer 50 ms and no more")
  func resolutionDelay() async throws {
    let stub = try ResolverStub { seen in
      guard seen.query.question.type == .a else { return [] }
      return [
        .init(
          bytes: DNSReply(answers: [try DNSReply.record("www.test 60 A 11.11.0.10")]).bytes(to: seen.query))
      ]
    }
    let rig = try Self.rig([stub.endpoint], ipv6: true)
    defer { rig.stop(); stub.stop() }
    let host = try Hostname("www.test")
    let told: (outcome: Outcome, after: Duration, timeouts: UInt64) = await rig.call { resolver, done in
      let start = MonotonicTime.now()
      resolver.resolve(host, for: .default) {
        done(($0, MonotonicTime.now() - start, resolver.statistics.timeouts))
      }
    }
    #expect(try told.outcome == Self.address("11.11.0.10"))
    #expect(told.after >= .milliseconds(50))
    #expect(told.timeouts == 0)
  }

  @Test("OPS-07: an upstream that cannot be sent to, and one that refuses TCP, give way to the next")
  func nextUpstream() async throws {
    let good = try ResolverStub { seen in
      [
        .init(
          bytes: DNSReply(answers: [try DNSReply.record("www.test 60 A 11.11.0.10")]).bytes(to: seen.query))
      ]
    }
    // sendto(2) refuses a broadcast address with EACCES before anything leaves.
    let broadcast = Endpoint(.v4(0xffff_ffff), .domain)
    let servfail = try ResolverStub { seen in [.init(bytes: DNSReply(responseCode: 2).bytes(to: seen.query))]
    }
    let rig = try Self.rig([broadcast, servfail.endpoint, good.endpoint])
    defer { rig.stop(); good.stop(); servfail.stop() }
    #expect(try await Self.resolve("www.test", rig) == Self.address("11.11.0.10"))
    #expect(servfail.seen.count == 1)
    #expect(good.seen.count == 1)
  }

  @Test("OPS-07: a connection that ends early is a failure, not a wait")
  func earlyEnd() async throws {
    let stub = try ResolverStub { seen in
      seen.isStream ? [] : [.init(bytes: DNSReply(flags: 0x8380).bytes(to: seen.query))]
    }
    let rig = try Self.rig([stub.endpoint])
    defer { rig.stop(); stub.stop() }
    #expect(try await Self.resolve("www.test", rig) == .failure(.serverFailure))
  }

  @Test("DOS-06: who waits no longer is not called, and the sockets of its lookup are closed")
  func cancelled() async throws {
    let stub = try ResolverStub { _ in [] }
    let rig = try Self.rig([stub.endpoint], ipv6: true)
    defer { rig.stop(); stub.stop() }
    let host = try Hostname("www.test")
    let left: (Int, Int) = await rig.call { resolver, done in
      let token = resolver.resolve(host, for: .default) { _ in Issue.record("called") }
      let other = resolver.resolve(host, for: .default) { _ in Issue.record("called") }
      if let token { resolver.cancel(token) }
      let before = resolver.lookupsInFlight
      if let other { resolver.cancel(other) }
      done((before, resolver.lookupsInFlight + resolver.openSockets))
    }
    #expect(left == (1, 0))
  }

  @Test("A changed hosts file is read again; without an upstream it is all there is")
  func hosts() async throws {
    let path = "/tmp/exitgate-hosts-\(getpid())"
    try write("10.0.0.5 www.corp\n", to: path)
    let rig = try Self.rig([], hostsPath: path)
    defer { rig.stop(); unlink(path) }
    #expect(try await Self.resolve("www.corp", rig).get().addresses.map(\.description) == ["10.0.0.5"])
    try write("10.0.0.55 www.corp\n", to: path)
    await rig.call { resolver, done in done(resolver.reloadHostsIfChanged()) }
    #expect(try await Self.resolve("www.corp", rig).get().addresses.map(\.description) == ["10.0.0.55"])
    #expect(try await Self.resolve("other.corp", rig) == .failure(.serverFailure))
  }

  private func write(_ text: String, to path: String) throws {
    let file = try #require(fopen(path, "w"))
    fputs(text, file)
    fclose(file)
  }
}
