import Addressing
import CLinux
import Dispatch
import Glibc
import SystemPackage
import Testing

@testable import EventLoop

extension EventLoopTests {
  @Suite struct ListenerTests {
    private func temporaryPath() -> String {
      "/tmp/exitgate-test-\(getpid())-\(UInt32.random(in: 0...UInt32.max)).sock"
    }

    @Test(
      "connections stay on the loop that took them, and both loops may take them",
      arguments: PollerBackEnd.allCases)
    func twoLoops(_ backEnd: PollerBackEnd) throws {
      let rigs = [try Rig(backEnd), try Rig(backEnd)]
      let listener = try Listener.bind(.anyPort(loopback4))
      let taken = Waiter<Bool>()
      listener.start(
        on: rigs.map(\.loop),
        accept: { channel in
          dispatchPrecondition(condition: .onQueue(channel.eventLoop.queue))
          taken.give(true)
          channel.close()
        })
      let endpoint = try #require(listener.boundEndpoint)
      for _ in 0..<200 {
        let peer = try dial(endpoint)
        #expect(try taken.wait("connection"))
        #expect(try peer.receive().isEmpty)
      }
      listener.close()
      try eventually("the port is closed") { (try? dial(endpoint)) == nil }
    }

    @Test(
      "a Unix peer is known by process and user; the file has the mode asked for and goes with the listener",
      arguments: PollerBackEnd.allCases)
    func unixPeer(_ backEnd: PollerBackEnd) throws {
      let path = temporaryPath()
      let rig = try Rig(backEnd)
      let listener = try Listener.bind(.unix(path: path, mode: 0o620))
      var status = stat()
      #expect(lstat(path, &status) == 0 && status.st_mode & 0o777 == 0o620)
      let seen = Waiter<PeerCredentials?>()
      listener.start(
        on: [rig.loop],
        accept: { channel in
          seen.give(channel.peerCredentials)
          #expect(channel.remoteEndpoint == nil)
          echoOnce(channel)
        })
      #expect(
        try UnixClient.exchange(path: path, request: Array("who".utf8), timeout: .seconds(10))
          == Array("who".utf8))
      #expect(try seen.wait("peer") == PeerCredentials(pid: getpid(), uid: getuid(), gid: getgid()))
      #expect(throws: ListenError.self) { try Listener.bind(.unix(path: path, mode: 0o600)) }
      listener.close()
      #expect(access(path, F_OK) != 0)
      #expect(throws: UnixClientError.unreachable(.noSuchFileOrDirectory)) {
        try UnixClient.exchange(path: path, request: [], timeout: .seconds(1))
      }
    }

    @Test("a socket file that nobody listens on is replaced, any other file stays")
    func staleFile() throws {
      let path = temporaryPath()
      let fd = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
      let address = try #require(SocketAddress(path: path))
      #expect(address.withPointer { bind(fd, $0, $1) } == 0)
      close(fd)
      try Listener.bind(.unix(path: path, mode: 0o600)).close()
      close(open(path, O_CREAT | O_WRONLY, 0o600))
      #expect(throws: ListenError.self) { try Listener.bind(.unix(path: path, mode: 0o600)) }
      #expect(access(path, F_OK) == 0)
      unlink(path)
    }

    @Test("an address that cannot be had is refused with cause and remedy")
    func errors() throws {
      let holder = try Listener.bind(.anyPort(loopback4))
      let taken = BindAddress.tcp(try #require(holder.boundEndpoint))
      let foreign = BindAddress.tcp(Endpoint(.v4(0xc000_0201), .http))
      let cases: [(BindAddress, Errno, String)] = [
        (taken, .addressInUse, "something listens there already"),
        (foreign, .addressNotAvailable, "not one of this host's"),
        (.unix(path: "/nonexistent/x", mode: 0o600), .noSuchFileOrDirectory, "directory does not exist"),
        (.unix(path: String(repeating: "x", count: 108), mode: 0o600), .fileNameTooLong, "107 bytes"),
        (.unix(path: "", mode: 0o600), .fileNameTooLong, "empty"),
      ]
      for (address, error, words) in cases {
        let thrown = #expect(throws: ListenError.self) { try Listener.bind(address) }
        #expect(thrown?.error == error)
        #expect(thrown?.description.contains(words) == true, "\(String(describing: thrown))")
      }
    }

    @Test("out of descriptors, a listener says so once, goes on with what it has, and recovers")
    func survivesDescriptorLimit() async {
      await #expect(processExitsWith: .success) {
        for backEnd in PollerBackEnd.allCases {
          try EventLoopTests.ListenerTests.survivesDescriptorLimit(backEnd)
        }
      }
    }

    static func survivesDescriptorLimit(_ backEnd: PollerBackEnd) throws {
      let rig = try Rig(backEnd)
      let listener = try Listener.bind(.anyPort(loopback4))
      let notices = Waiter<ListenerNotice>(), served = Waiter<Void>()
      listener.start(
        on: [rig.loop],
        accept: { channel in
          served.give(()); echoOnce(channel)
        }, notice: { notices.give($0) })
      let endpoint = try #require(listener.boundEndpoint)
      let first = try dial(endpoint)
      try served.wait("first connection")
      let second = try dial(endpoint), third = try dial(endpoint)
      try served.wait("second connection")
      try served.wait("third connection")
      let fourth = try withSpareDescriptors(1) {
        let fourth = try dial(endpoint)
        #expect(try notices.wait("notice") == .paused(.tooManyOpenFiles))
        try first.send([1])
        #expect(try first.receive(exactly: 1) == [1])
        // Two more pauses go by without another word.
        let later = Waiter<Void>()
        rig.run { _ = $0.schedule(after: .milliseconds(250)) { later.give(()) } }
        try later.wait("timer")
        #expect(notices.pending.isEmpty)
        return fourth
      }
      try served.wait("fourth connection")
      #expect(try notices.wait("notice") == .resumed)
      for peer in [second, third, fourth] {
        try peer.send([2])
        #expect(try peer.receive(exactly: 1) == [2])
      }
      listener.close()
    }

    @Test(
      "DOS-03: at the ceiling no connection is accepted or made, save by those who may use what is kept back")
    func ceiling() throws {
      let rig = try Rig(.nestedEpoll)
      rig.run { $0.descriptorCeiling = 0 }
      let listener = try Listener.bind(.anyPort(loopback4)), control = try Listener.bind(.anyPort(loopback4))
      let notices = Waiter<ListenerNotice>(), served = Waiter<Void>()
      listener.start(on: [rig.loop], accept: { $0.close() }, notice: { notices.give($0) })
      control.start(
        on: [rig.loop], mayUseReserve: true,
        accept: { channel in
          served.give(()); echoOnce(channel)
        })
      let endpoint = try #require(listener.boundEndpoint), reserved = try #require(control.boundEndpoint)
      let refused = try dial(endpoint)
      #expect(try notices.wait("notice") == .paused(.tooManyOpenFiles))
      #expect(refused.receiveUntilBroken() == [])
      _ = try dial(reserved)
      try served.wait("a connection of the control socket")
      rig.run { loop in
        #expect(throws: Errno.tooManyOpenFiles) { try loop.connect(to: reserved) }
        #expect(throws: Never.self) { try loop.connect(to: reserved, mayUseReserve: true).close() }
        #expect(loop.pipes.take() == nil)
      }
      rig.run { $0.descriptorCeiling = .max }
      _ = try dial(endpoint)
      #expect(try notices.wait("notice") == .resumed)
      listener.close()
      control.close()
    }

    @Test("five thousand connections come and go without a descriptor or a channel left behind")
    func churn() async {
      await #expect(processExitsWith: .success) {
        for backEnd in PollerBackEnd.allCases { try EventLoopTests.ListenerTests.churn(backEnd) }
      }
    }

    static func churn(_ backEnd: PollerBackEnd) throws {
      let rig = try Rig(backEnd)
      let listener = try Listener.bind(.anyPort(loopback4))
      listener.start(on: [rig.loop], accept: echoOnce)
      let endpoint = try #require(listener.boundEndpoint)
      _ = try dial(endpoint)
      try eventually("the first is gone") { rig.run { $0.openChannels == 0 } }
      let before = openDescriptors()
      for round in 0..<5000 {
        let peer = try dial(endpoint)
        if round % 3 == 0 { continue }
        try peer.send([7])
        #expect(try peer.receive(exactly: 1) == [7])
        if round % 3 == 1 {
          var zero = linger(l_onoff: 1, l_linger: 0)
          setsockopt(peer.fd, SOL_SOCKET, SO_LINGER, &zero, socklen_t(MemoryLayout<linger>.size))
        }
      }
      try eventually("all are gone") {
        rig.run { $0.openChannels == 0 } && openDescriptors() <= before + dispatchDescriptors
      }
      listener.close()
    }
  }
}

/// Answers each piece with itself until the end or a failure.
@Sendable func echoOnce(_ channel: Channel) {
  let loop = channel.eventLoop
  let events = EventLoopTests.ChannelTests.Events { channel in
    while true {
      switch channel.read(into: loop.scratch) {
      case .bytes(let count): _ = channel.write(UnsafeRawBufferPointer(rebasing: loop.scratch.prefix(count)))
      case .wouldBlock: return
      case .end, .failed:
        channel.close()
        return
      }
    }
  }
  channel.delegate = events
  events.ready(channel)
}
