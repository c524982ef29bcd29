import Foundation
import Testing

@testable import Confinement

@Suite(.timeLimit(.minutes(1))) struct MessageChannelTests {
  @Test(
    "messages keep their borders, whatever their size", arguments: [0, 1, 65_535, 65_536, 65_537, 200_000])
  func sizes(_ size: Int) throws {
    let (one, other) = try MessageChannel.pair()
    one.stopBlocking()
    other.stopBlocking()
    let message = (0..<size).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 8) }
    try one.send(message)
    try one.send([7])
    var got: [[UInt8]] = []
    while got.count < 2 {
      try one.flush()
      if case .message(let bytes, let descriptors) = try other.receive() {
        got.append(bytes)
        #expect(descriptors.isEmpty)
      }
    }
    #expect(got == [message, [7]])
    #expect(try other.receive() == .nothingYet)
  }

  @Test("what does not fit now waits, and the order stays")
  func backPressure() throws {
    let (one, other) = try MessageChannel.pair()
    one.stopBlocking()
    other.stopBlocking()
    let messages = (0..<40).map { [UInt8](repeating: UInt8($0), count: 50_000) }
    for message in messages { try one.send(message) }
    #expect(one.hasUnsent, "2 MB do not fit a socket")
    var got: [[UInt8]] = []
    while got.count < messages.count {
      if case .message(let bytes, _) = try other.receive() { got.append(bytes) } else { try one.flush() }
    }
    #expect(got == messages)
    #expect(!one.hasUnsent)
  }

  @Test("descriptors come with their message, close-on-exec, and are the receiver's own")
  func descriptors() throws {
    let (one, other) = try MessageChannel.pair()
    var ends: [Int32] = [0, 0]
    #expect(pipe(&ends) == 0)
    try one.send([1, 2], descriptors: [ends[1]])
    close(ends[1])
    guard case .message([1, 2], let came) = try other.receive() else { return #expect(Bool(false)) }
    try #require(came.count == 1)
    #expect(fcntl(came[0], F_GETFD) & FD_CLOEXEC != 0)
    #expect(write(came[0], "x", 1) == 1)
    close(came[0])
    var byte: [UInt8] = [0, 0]
    #expect(read(ends[0], &byte, 2) == 1)
    #expect(read(ends[0], &byte, 2) == 0, "no copy of the writing end is left anywhere")
    close(ends[0])
  }

  @Test("the end is told, and sending to it fails")
  func end() throws {
    var (one, gone): (MessageChannel?, MessageChannel?) = (nil, nil)
    (one, gone) = try MessageChannel.pair()
    try one?.send([9])
    one = nil
    #expect(try gone?.receive() == .message([9], descriptors: []), "what was sent before the end still comes")
    #expect(try gone?.receive() == .ended)
    #expect(throws: MessageChannel.Problem.ended) { try gone?.send([1]) }
  }

  @Test("what is larger than the limit is neither sent nor taken")
  func limit() throws {
    let (one, other) = try MessageChannel.pair(limit: 70_000)
    #expect(throws: MessageChannel.Problem.tooLarge) { try one.send([UInt8](repeating: 0, count: 70_001)) }
    #expect(throws: MessageChannel.Problem.tooLarge) {
      try one.send([], descriptors: [Int32](repeating: 0, count: MessageChannel.descriptorLimit + 1))
    }
    // A hostile sender keeps to no limit: packets that say "more follows" for ever.
    let packet = [UInt8(1)] + [UInt8](repeating: 0, count: 40_000)
    #expect(send(one.descriptor, packet, packet.count, 0) == packet.count)
    #expect(send(one.descriptor, packet, packet.count, 0) == packet.count)
    #expect(throws: MessageChannel.Problem.tooLarge) { try other.receive() }
  }

  @Test("a packet that is none of this channel's is refused", arguments: [[2], [255, 1]] as [[UInt8]])
  func malformed(_ packet: [UInt8]) throws {
    let (one, other) = try MessageChannel.pair()
    #expect(send(one.descriptor, packet, packet.count, 0) == packet.count)
    #expect(throws: MessageChannel.Problem.malformed) { try other.receive() }
  }

  @Test("a packet that is cut by the kernel is refused")
  func cut() throws {
    let (one, other) = try MessageChannel.pair()
    let packet = [UInt8](repeating: 0, count: MessageChannel.packet + 2)
    #expect(send(one.descriptor, packet, packet.count, 0) == packet.count)
    #expect(throws: MessageChannel.Problem.malformed) { try other.receive() }
  }

  @Test("a process with threads is not confined by half, and starts no keeper")
  func threads() throws {
    #expect(!ThreadCount.isSingle, "the runner of these tests has threads")
    #expect(throws: ConfinementError.self) { try Confinement.apply(.gate(writable: [])) }
    #expect(throws: ConfinementError.self) { try KeeperProcess.start { _ in 0 } }
    #expect(ProcessReport.read()?.isFiltered == false)
  }
}
