import Control
import Dispatch
import Glibc
import Testing

@testable import EventLoop
@testable import Gateway

extension GateTests.Asking {
  @Test("Who answers a beat while he is found dead is somebody who can be asked")
  func heardMeanwhile() throws {
    let rig = try GateRig(Self.policy())
    defer { rig.stop() }
    let gate = rig.gate, me = PeerCredentials(pid: getpid(), uid: geteuid(), gid: getegid())
    let client = try ClientSocket(unix: rig.directory + "/control/control.sock")
    defer { client.close() }
    client.send("{\"exitgate\":1,\"request\":\"follow\"}\n")
    try eventually("he is counted") { gate.approvals.channels == 1 }
    let start = MonotonicTime.now(), later = start + .seconds(40)
    gate.followers.beat(at: later, gate.door)
    #expect(gate.approvals.channels == 0, "for 40 s he said nothing")
    guard case .beat(let number) = try ControlReply(line: Array(client.read(until: "\n").utf8)) else {
      throw GaveUp(description: "no beat")
    }
    for round in 0..<20_000 {
      gate.followers.hear(number, of: me, at: start, gate.door)
      DispatchQueue.concurrentPerform(iterations: 2) { side in
        if side == 0 { return gate.followers.beat(at: later + .seconds(1), gate.door) }
        gate.followers.hear(number, of: me, at: later + .seconds(1), gate.door)
      }
      try eventually("he is counted in round \(round)") { gate.approvals.channels == 1 }
    }
  }
}
