import Addressing
import Audit
import EventLoop
import Glibc
import Policy
import Synchronization
import Testing

@testable import Gateway

extension GateTests {
  /// Plain HTTP through a gate on real sockets.
  @Suite struct Exchanges {
    static let web =
      "version: 1\nrules:\n  - { id: web, action: allow, to: [web.test], protocol: http, ports: [$ORIGIN], allow-loopback: true }\n"

    @Test("A request passes, and its records say where it went")
    func passes() throws {
      let rig = try GateRig(Self.web)
      defer { rig.stop() }
      let answer = try rig.ask(rig.get("web.test", "/a?b", "Connection: close\r\n"))
      #expect(answer.hasPrefix("HTTP/1.1 200 OK\r\n") && answer.hasSuffix("\r\n\r\nhello"))
      #expect(rig.origin.texts.map { $0.prefix(16) } == ["GET /a?b HTTP/1."])
      #expect(try rig.decisions() == ["allow rule"])
      #expect(try rig.awaitCloses(1) == ["finished"])
      try rig.awaitRest()
    }
  }
}
