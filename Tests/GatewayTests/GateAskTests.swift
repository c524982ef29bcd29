import Addressing
import Approvals
import Audit
import Dispatch
import EventLoop
import Glibc
import Policy
import PolicyFile
import Synchronization
import Testing

@testable import Gateway

extension GateRig {
  static let reviewer = Person(.control, userID: 1000, processID: 7)

  /// The question about `host`, once it is there.
  func question(about host: String = "") throws -> PendingQuestion {
    try eventually("a question about \(host)") { find(host) != nil }
    return try #require(find(host))
  }

  /// A client that has sent a request in which `$PORT` stands for the origin's port.
  func sent(_ request: String) throws -> ClientSocket {
    let client = try client()
    client.send(request.replacing("$PORT", with: "\(origin.port)"))
    return client
  }

  private func find(_ host: String) -> PendingQuestion? {
    gate.approvals.questions.first { question in
      host.isEmpty || question.members.contains { "\($0.key.destination.host)" == host }
    }
  }

  @discardableResult
  func answer(_ question: PendingQuestion, _ answer: ApprovalAnswer) throws -> Decided {
    let bound = BoundAnswer(question.id, generation: question.generation, digest: question.digest, answer)
    let result = Mutex<Result<Decided, ApprovalError>?>(nil)
    gate.answer(bound, by: Self.reviewer) { outcome in result.withLock { $0 = outcome } }
    try eventually("the answer is carried out") { result.withLock { $0 != nil } }
    return try #require(result.withLock { $0 }).get()
  }

  @discardableResult
  func revoke(_ id: String) throws -> Int {
    let result = Mutex<Result<Int, ApprovalError>?>(nil)
    gate.revoke(id, by: Self.reviewer, lacking: nil) { outcome in result.withLock { $0 = outcome } }
    try eventually("the revocation is carried out") { result.withLock { $0 != nil } }
    return try #require(result.withLock { $0 }).get()
  }
}

extension GateTests {
  /// Connections that wait for a person, on real sockets.
  @Suite struct Asking {
    static func policy(hold: String = "10s", _ rules: String...) -> String {
      "version: 1\ndefaults: { hold: \(hold) }\nrules:\n"
        + ask("raw", "raw.test") + ask("web", "web.test", "http") + rules.joined()
    }
    static func ask(_ id: String, _ host: String, _ traffic: String = "tcp", more: String = "") -> String {
      "  - { id: \(id), action: ask, to: [\(host)], protocol: \(traffic), ports: [$ORIGIN], allow-loopback: true\(more) }\n"
    }

    static let requests = [
      "CONNECT raw.test:$PORT HTTP/1.1\r\n\r\n",
      "GET http://web.test:$PORT/ HTTP/1.1\r\nHost: web.test:$PORT\r\nConnection: close\r\n\r\n",
    ]

    @Test(
      "CTL-13: a held connection has nothing resolved, nothing dialled, and no answer; an approval lets it on",
      arguments: requests)
    func heldThenAllowed(_ request: String) throws {
      let rig = try GateRig(Self.policy())
      defer { rig.stop() }
      let channel = rig.gate.approvals.attach(.control)
      defer { extendLifetime(channel) }
      let client = try rig.sent(request)
      let question = try rig.question()
      poll(nil, 0, 50)  // what had been asked or dialled would have arrived by then
      #expect(rig.resolver.seen.isEmpty && rig.origin.connections == 0)
      #expect(try rig.decisions() == ["ask ask-rule"])
      try rig.answer(question, .allow(.once))
      #expect(try client.read(until: "\r\n\r\n").hasPrefix("HTTP/1.1 200"))
      try eventually("the origin has counted it") {
        rig.resolver.seen.count >= 1 && rig.origin.connections == 1
      }
      #expect(try rig.decisions() == ["ask ask-rule", "allow approved"])
      let mark = try #require(try rig.records().last { $0.event == "decision" }).json["unmapped"]?["approval"]
      #expect(mark?["id"]?.text == question.id.text && mark?["scope"]?.text == "once")
      #expect(mark?["channel"]?.text == "control" && mark?["uid"]?.integer == 1000)
    }

    @Test("CTL-13: of a held POST no more than a head's worth is read, and the denial is a normal 403")
    func body() throws {
      let rig = try GateRig(Self.policy())
      defer { rig.stop() }
      let channel = rig.gate.approvals.attach(.control)
      defer { extendLifetime(channel) }
      let client = try rig.client()
      let size = 10 << 20
      client.send(
        "POST http://web.test:\(rig.origin.port)/ HTTP/1.1\r\nHost: web.test:\(rig.origin.port)\r\nContent-Length: \(size)\r\n\r\n"
      )
      let question = try rig.question()
      let sent = Self.sendWithoutWaiting(client, size)
      #expect(sent < size, "the kernel's buffers filled up, for the gate took no more")
      let held = rig.gate.shards.map { shard in
        shard.loop.sync {
          shard.flows.flows.compactMap { ($0 as? ApproachDriver)?.ahead.count }.max() ?? 0
        }
      }
      #expect((held.max() ?? 0) <= 16 * 1024 && (held.max() ?? 0) > 0)
      try rig.answer(question, .refuse(.once))
      #expect(try client.read(until: "\r\n\r\n").hasPrefix("HTTP/1.1 403 Forbidden"))
      #expect(rig.resolver.seen.isEmpty && rig.origin.connections == 0)
      #expect(try rig.decisions() == ["ask ask-rule", "deny refused"])
    }

    /// Sends until the socket takes no more for a while.
    static func sendWithoutWaiting(_ client: ClientSocket, _ size: Int) -> Int {
      let piece = [UInt8](repeating: 0x78, count: 64 * 1024)
      var sent = 0, patience = 50
      while sent < size, patience > 0 {
        let count = Glibc.send(
          client.fd, piece, min(piece.count, size - sent),
          Int32(MSG_DONTWAIT) | Int32(MSG_NOSIGNAL))
        if count > 0 {
          sent += count
        } else {
          patience -= 1
          poll(nil, 0, 2)
        }
      }
      return sent
    }

    @Test(
      "Nobody answers: 403 with the question's id and Retry-After; the retry after an approval passes, once")
    func retry() throws {
      let rig = try GateRig(Self.policy(hold: "50ms"))
      defer { rig.stop() }
      let channel = rig.gate.approvals.attach(.control)
      defer { extendLifetime(channel) }
      let answer = try rig.ask(rig.get("web.test"))
      #expect(
        answer.hasPrefix(
          "HTTP/1.1 403 Forbidden\r\nProxy-Status: exitgate; error=http_request_denied; details=\"pending-approval\"\r\nRetry-After: 5\r\n"
        ))
      // The client has its answer before the book hears that it waits no more.
      try eventually("nobody waits") { rig.gate.approvals.questions.allSatisfy { $0.waiting == 0 } }
      let question = try rig.question()
      #expect(answer.contains("{\"error\":\"pending_approval\",\"id\":\"\(question.id)\""))
      #expect(question.waiting == 0 && question.count == 1)
      try rig.answer(question, .allow(.once))
      #expect(try rig.ask(rig.get("web.test", "/", "Connection: close\r\n")).hasPrefix("HTTP/1.1 200"))
      #expect(try rig.ask(rig.get("web.test")).contains("pending_approval"), "it was for one")
      #expect(
        try rig.decisions() == [
          "ask ask-rule", "deny pending-approval", "allow approved", "ask ask-rule", "deny pending-approval",
        ])
    }

    @Test("Nobody there: denied at once, whatever the hold")
    func nobody() throws {
      let rig = try GateRig(Self.policy())
      defer { rig.stop() }
      let start = MonotonicTime.now()
      #expect(try rig.ask(rig.get("web.test")).contains("\"reason\":\"no-approver\""))
      #expect(MonotonicTime.now() - start < .seconds(5))
      #expect(try rig.decisions() == ["deny no-approver"])
    }

    @Test("SOCKS: held, then the tunnel; refused, then its own refusal")
    func socks() throws {
      let rig = try GateRig(Self.policy(), origin: OriginStub.echoes)
      defer { rig.stop() }
      let channel = rig.gate.approvals.attach(.control)
      defer { extendLifetime(channel) }
      let name = Array("raw.test".utf8), port = rig.origin.port.number
      for (answer, code) in [(ApprovalAnswer.allow(.once), UInt8(0)), (.refuse(.session), 2)] {
        let client = try rig.client()
        client.send([5, 1, 0, 5, 1, 0, 3, UInt8(name.count)] + name + [UInt8(port >> 8), UInt8(port & 255)])
        #expect(try client.readExactly(2) == [5, 0])
        try rig.answer(try rig.question(), answer)
        #expect(try client.readExactly(2) == [5, code])
      }
      try eventually("the origin has counted it") { rig.origin.connections == 1 }
    }

    @Test("CTL-14: a deny rule that comes while it is held denies it, and the approval comes too late")
    func reload() throws {
      let rig = try GateRig(Self.policy())
      defer { rig.stop() }
      let channel = rig.gate.approvals.attach(.control)
      defer { extendLifetime(channel) }
      let client = try rig.sent(Self.requests[0]), other = try rig.sent(Self.requests[1])
      let question = try rig.question(about: "raw.test"), second = try rig.question(about: "web.test")
      try rig.reload(
        Self.policy("  - { id: no, action: deny, to: [raw.test], protocol: tcp, ports: [$ORIGIN] }\n"))
      #expect(try client.readToEnd().contains("\"reason\":\"deny-rule\""))
      #expect(throws: ApprovalError.refused(.late(.superseded))) {
        try rig.answer(question, .allow(.session))
      }
      #expect(throws: ApprovalError.refused(.otherPolicy(now: 2))) {
        try rig.answer(second, .allow(.session))
      }
      let notice = try rig.records().last {
        $0.event == "notice" || $0.json["unmapped"]?["reason"]?.text == "question-superseded"
      }
      #expect(notice?.json["unmapped"]?["reason"]?.text == "question-superseded", "its end is in the log")
      try rig.answer(try rig.question(about: "web.test"), .allow(.session))
      #expect(try other.readToEnd().hasPrefix("HTTP/1.1 200"), "what is asked about still goes on being held")
      #expect(rig.origin.connections == 1)
    }

    @Test("What is taken back is cut at once, and asks again; what another approval let pass stays")
    func revoke() throws {
      let rig = try GateRig(Self.policy(Self.ask("kept", "kept.test")), origin: OriginStub.echoes)
      defer { rig.stop() }
      let channel = rig.gate.approvals.attach(.control)
      defer { extendLifetime(channel) }
      var clients: [ClientSocket] = [], ids: [String] = []
      for (host, scope) in [("raw.test", Scope.session), ("kept.test", .time(.seconds(3600)))] {
        let client = try rig.client()
        client.send("CONNECT \(host):\(rig.origin.port) HTTP/1.1\r\n\r\n")
        let question = try rig.question(about: host)
        try rig.answer(question, .allow(scope))
        #expect(try client.read(until: "\r\n\r\n").hasPrefix("HTTP/1.1 200"))
        clients.append(client)
        ids.append(question.id.text)
      }
      #expect(try rig.revoke(ids[0]) == 1)
      #expect(clients[0].whateverComes().bytes.isEmpty)
      #expect(Tunnels.echoes(clients[1], "still there"))
      #expect(try rig.closes() == ["revoked"])
      #expect(throws: ApprovalError.unknownGrant) { try rig.revoke(ids[0]) }
      clients[0].close()
      let again = try rig.client()
      again.send("CONNECT raw.test:\(rig.origin.port) HTTP/1.1\r\n\r\n")
      #expect(try rig.question(about: "raw.test").id.text != ids[0])
    }

    @Test(
      "'Always' is written down with who and when, passes without anybody, survives a reload, and is revoked")
    func always() throws {
      let rig = try GateRig(Self.policy(), origin: OriginStub.echoes)
      defer { rig.stop() }
      var channel: AttachedChannel? = rig.gate.approvals.attach(.control)
      let client = try rig.client()
      client.send("CONNECT raw.test:\(rig.origin.port) HTTP/1.1\r\n\r\n")
      let question = try rig.question()
      let decided = try rig.answer(question, .allow(.always))
      #expect(decided.approval?.id == "approved-\(question.id)")
      #expect(try client.read(until: "\r\n\r\n").hasPrefix("HTTP/1.1 200"))
      channel = nil
      #expect(channel == nil)
      let path = rig.directory + "/log/approvals.yaml"
      let text = try #require(try rig.gate.configuration.loader.overlay(path: path)).text
      #expect(text.contains("  # allowed always, 20") && text.contains("Z, user 1000 by control\n"))
      #expect(text.contains("  - \(question.members[0].candidate ?? "-")\n"))
      let second = try rig.tunnel(to: "raw.test")
      try rig.reload(Self.policy())
      #expect(Tunnels.echoes(second, "over the reload"))
      #expect(try rig.revoke("approved-\(question.id)") == 2)
      #expect(second.whateverComes().bytes.isEmpty)
      #expect(try rig.ask("CONNECT raw.test:\(rig.origin.port) HTTP/1.1\r\n\r\n").contains("no-approver"))
      let rest = try #require(try rig.gate.configuration.loader.overlay(path: path))
      #expect(rest.rules.rules.isEmpty && !rest.text.contains("allowed always"))
    }

    @Test("'Never' is written down too, and nobody is asked again")
    func never() throws {
      let rig = try GateRig(Self.policy())
      defer { rig.stop() }
      let channel = rig.gate.approvals.attach(.control)
      defer { extendLifetime(channel) }
      let client = try rig.sent(Self.requests[1])
      let question = try rig.question()
      try rig.answer(question, .refuse(.always))
      #expect(try client.read(until: "\r\n\r\n").hasPrefix("HTTP/1.1 403"))
      #expect(try rig.ask(rig.get("web.test")).contains("\"reason\":\"refused\""))
      #expect(rig.gate.approvals.questions.isEmpty)
      try rig.revoke("approved-\(question.id)")
      let again = try rig.sent(Self.requests[1])
      defer { again.close() }
      _ = try rig.question()
    }

    @Test("What cannot be written down is not decided; the question stays")
    func unwritable() throws {
      let rig = try GateRig(Self.policy())
      defer { rig.stop() }
      let channel = rig.gate.approvals.attach(.control)
      defer { extendLifetime(channel) }
      let client = try rig.sent(Self.requests[1])
      let question = try rig.question()
      let path = rig.directory + "/log/approvals.yaml"
      let file = open(path, O_WRONLY | O_CREAT, 0o600)
      _ = write(file, "version: 1\nrules: [what]\n", 25)
      close(file)
      #expect(throws: ApprovalError.self) { try rig.answer(question, .allow(.always)) }
      #expect(rig.gate.approvals.questions == [question])
      unlink(path)
      try rig.answer(question, .allow(.always))
      #expect(try client.read(until: "\r\n\r\n").hasPrefix("HTTP/1.1 200"), "the control")
    }

    @Test("CTL-12: clients that go while they are held, answers and timeouts leave each request decided once")
    func once() throws {
      let rig = try GateRig(Self.policy(hold: "20ms"))
      defer { rig.stop() }
      let channel = rig.gate.approvals.attach(.control)
      defer { extendLifetime(channel) }
      for round in 0..<60 {
        let client = try rig.sent(Self.requests[1])
        poll(nil, 0, Int32(round % 7) * 4)
        if let question = rig.gate.approvals.questions.first {
          _ = try? rig.answer(question, round % 3 == 0 ? .allow(.once) : .allow(.time(.milliseconds(1))))
        }
        if round % 4 == 0 { client.reset() } else { _ = client.whateverComes() }
      }
      try rig.awaitRest()
      let decisions = try rig.records().filter { $0.event == "decision" }
      let ends = decisions.filter { $0.verdict != .ask }
      #expect(Set(ends.map(\.flow)).count == ends.count, "no request is decided twice")
      let asked = Set(decisions.filter { $0.verdict == .ask }.map(\.flow))
      #expect(asked.isSubset(of: Set(ends.map(\.flow))), "every request that was held is decided")
      #expect(asked.count >= 6 && ends.count <= 60)
    }

    @Test("A gate that stops lets held connections go, each with its record")
    func stop() throws {
      let rig = try GateRig(Self.policy())
      let channel = rig.gate.approvals.attach(.control)
      defer { extendLifetime(channel) }
      let client = try rig.sent(Self.requests[0])
      _ = try rig.question()
      rig.drain(within: .milliseconds(50))
      #expect(client.whateverComes().bytes.isEmpty)
      #expect(try rig.decisions() == ["ask ask-rule", "deny pending-approval"])
      rig.finish()
    }

    @Test("Those who follow hear what waits already, what comes, and how it ends")
    func follow() throws {
      let rig = try GateRig(Self.policy())
      defer { rig.stop() }
      let channel = rig.gate.approvals.attach(.page)
      defer { extendLifetime(channel) }
      let client = try rig.sent(Self.requests[0])
      defer { client.close() }
      let question = try rig.question()
      let heard = Mutex<[BookEvent]>([])
      let follower = rig.gate.approvals.follow { event in heard.withLock { $0.append(event) } }
      try rig.answer(question, .refuse(.session))
      #expect(
        heard.withLock { $0 } == [
          .asked(question), .closed(question, .answered(.refuse(.session), GateRig.reviewer)),
        ])
      rig.gate.approvals.unfollow(follower)
    }
  }
}
