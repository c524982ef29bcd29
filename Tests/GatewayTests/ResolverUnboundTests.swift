import Addressing
import EventLoop
import Foundation
import Glibc
import Testing
import Wire

@testable import Gateway

/// A real unbound on a loopback port, with a zone of its own.
struct Unbound {
  static let path = "/usr/sbin/unbound"
  static var isInstalled: Bool { access(path, X_OK) == 0 }

  let process = Process()
  let directory: URL
  let endpoint: Endpoint

  init(zone: [String]) throws {
    let fd = try LoopbackSocket.bound(SOCK_DGRAM, port: 0)
    let port = LoopbackSocket.port(of: fd)
    close(fd)
    endpoint = Endpoint(.v4(0x7f00_0001), try #require(Port(port)))
    directory = URL(filePath: "/tmp/exitgate-unbound-\(getpid())-\(port)")
    try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
    let file = directory.appending(path: "unbound.conf")
    try Self.configuration(port: port, directory: directory.path, zone: zone)
      .write(to: file, atomically: true, encoding: .utf8)
    process.executableURL = URL(filePath: Self.path)
    process.arguments = ["-d", "-c", file.path]
    process.standardError = FileHandle.nullDevice
    try process.run()
  }

  private static func configuration(port: UInt16, directory: String, zone: [String]) -> String {
    """
    server:
      interface: 127.0.0.1
      port: \(port)
      do-daemonize: no
      use-syslog: no
      logfile: ""
      username: ""
      chroot: ""
      directory: "\(directory)"
      pidfile: ""
      module-config: "iterator"
      num-threads: 1
      local-zone: "example.test." static
    \(zone.map { "  local-data: \"\($0)\"" }.joined(separator: "\n"))
    remote-control:
      control-enable: no
    """
  }

  /// Starts one that answers. The port was free a moment ago, but other tests
  /// take ports too: an unbound that found it taken ends, and the next one tries another.
  static func started(zone: [String]) throws -> Unbound {
    for _ in 0..<10 {
      let unbound = try Unbound(zone: zone)
      if unbound.isUp() { return unbound }
      unbound.stop()
    }
    throw LoopbackSocket.Failed(code: EADDRINUSE)
  }

  /// Connects until somebody listens: over UDP nothing would tell.
  private func isUp() -> Bool {
    for _ in 0..<1000 where process.isRunning {
      if LoopbackSocket.isListening(endpoint.port) { return process.isRunning }
      poll(nil, 0, 10)
    }
    return false
  }

  func stop() {
    process.terminate()
    process.waitUntilExit()
    try? FileManager.default.removeItem(at: directory)
  }
}

@Suite("The resolver before a real unbound")
struct ResolverUnboundTests {
  static let zone =
    [
      "example.test. 3600 IN SOA ns.example.test. hostmaster.example.test. 1 3600 600 86400 30",
      "www.example.test. 300 IN A 11.11.0.10",
      "www.example.test. 60 IN AAAA 2a0e:b107:11::10",
      "alias.example.test. 120 IN CNAME www.example.test.",
      "loop.example.test. 120 IN CNAME loop.example.test.",
      "only4.example.test. 300 IN A 11.11.0.12",
    ] + (0..<200).map { "many.example.test. 300 IN A 11.11.1.\($0)" }

  @Test(
    "Addresses, an alias left open, truncation, denials",
    .enabled(if: Unbound.isInstalled, "there is no /usr/sbin/unbound: install the package unbound"))
  func unbound() async throws {
    let unbound = try Unbound.started(zone: Self.zone)
    let rig = try ResolverDriverTests.rig([unbound.endpoint], ipv6: true)
    defer { rig.stop(); unbound.stop() }
    let outcomes = [
      "www.example.test": "2a0e:b107:11::10 11.11.0.10", "only4.example.test": "11.11.0.12",
      "alias.example.test": "2a0e:b107:11::10 11.11.0.10 via www.example.test",
      "nx.example.test": "nameDoesNotExist", "loop.example.test": "chainTooLong",
    ]
    for (name, expected) in outcomes {
      #expect(try await ResolverDriverTests.resolve(name, rig).words == expected, "\(name)")
    }
    #expect(try await ResolverDriverTests.resolve("many.example.test", rig).get().addresses.count == 64)
    let statistics = await rig.call { resolver, done in done(resolver.statistics) }
    #expect(statistics.streamQueries == 1)
    #expect(statistics.mismatches == 0)
  }
}

extension Result<Resolution, ResolveFailure> {
  /// One line of it.
  fileprivate var words: String {
    switch self {
    case .failure(let failure): "\(failure)"
    case .success(let resolution):
      (resolution.addresses.map(\.description) + (resolution.chain.isEmpty ? [] : ["via"])
        + resolution.chain.map(\.text))
        .joined(separator: " ")
    }
  }
}
