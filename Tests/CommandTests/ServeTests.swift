import Foundation
import Testing

@Suite("serve", .timeLimit(.minutes(2)))
struct ServeTests {
  @Test(
    "the service manager is told once every listener is bound, by path and by abstract name",
    arguments: [false, true])
  func ready(abstract: Bool) throws {
    let gate = try RunningServe(abstractNotice: abstract)
    #expect(gate.words.contains("exitgate: ready\n"))
    #expect(try gate.send("CONNECT evil.example:443 HTTP/1.1\r\n\r\n").hasPrefix("HTTP/1.1 403"))
  }

  @Test("SIGTERM ends it: status 0, both sockets gone, the log intact")
  func end() throws {
    let gate = try RunningServe()
    gate.signal(SIGTERM)
    #expect(gate.waitForEnd() == 0)
    #expect(!gate.scratch.exists("proxy.sock"))
    #expect(!gate.scratch.exists("control.sock"))
    #expect(try gate.askLog("verify").status == 0)
    #expect(try gate.askLog("tail").out.contains("stop"))
  }

  @Test("a second signal ends it at once, whoever is still connected")
  func secondSignal() throws {
    let gate = try RunningServe()
    let idle = try gate.hold()
    // An answer to the status proves that the connection before it was accepted.
    #expect(try gate.tell("status").status == 0)
    gate.signal(SIGTERM)
    #expect(gate.nextNotice() == "STOPPING=1")
    gate.signal(SIGINT)
    #expect(gate.waitForEnd() == 128 + SIGINT)
    withExtendedLifetime(idle) {}
  }

  @Test("a reload by command takes the new policy, and a wrong one changes nothing and says why")
  func reload() throws {
    let gate = try RunningServe()
    try gate.scratch.write(
      "policy.yaml", samplePolicy.replacing("api.github.com", with: "api.gitlab.example"))
    let reloaded = try gate.tell("reload")
    #expect(reloaded.status == 0)
    #expect(reloaded.out.contains("generation 2"))
    try gate.scratch.write("policy.yaml", "version: 1\nrules: [{ id: x }]\n")
    let refused = try gate.tell("reload")
    #expect(refused.status == 65)
    #expect(refused.err.contains("policy.yaml:2:"))
    let status = try object(try gate.tell("status", "--json").out)
    let policy = try #require(status["policy"] as? [String: Any])
    #expect(policy["generation"] as? Int == 2)
    #expect((policy["last_error"] as? String)?.contains("policy.yaml:2:") == true)
  }

  @Test("SIGHUP reloads, and the command that follows is answered after it")
  func hangup() throws {
    let gate = try RunningServe()
    gate.signal(SIGHUP)
    // The generation is 3 when the signal's reload came first, and 2 until it did.
    let deadline = Date(timeIntervalSinceNow: 20)
    var generation = 0
    while generation < 2, Date() < deadline {
      let status = try object(try gate.tell("status", "--json").out)
      generation = (status["policy"] as? [String: Any])?["generation"] as? Int ?? 0
    }
    #expect(generation == 2)
  }

  @Test("CTL-16: in audit mode the start, the status and the log say NOT ENFORCING")
  func auditMode() throws {
    let gate = try RunningServe("version: 1\nmode: audit\nrules: []\n")
    #expect(gate.words.contains("NOT ENFORCING"))
    let status = try gate.tell("status")
    #expect(status.out.hasPrefix("NOT ENFORCING"))
    let json = try object(try gate.tell("status", "--json").out)
    #expect(json["enforcing"] as? Bool == false)
    #expect(try gate.tell("reload").err.contains("NOT ENFORCING"))
  }

  /// A gate that only watches until `end`, and what it answered and said of itself before.
  private struct Watching {
    static let request = "CONNECT evil.invalid:443 HTTP/1.1\r\n\r\n"
    let gate: RunningServe
    let end: Date
    let text: String
    let answer: String
    let status: String

    init(for seconds: Double) throws {
      end = Date(timeIntervalSince1970: Date().timeIntervalSince1970.rounded() + seconds)
      text = ISO8601DateFormatter().string(from: end)
      gate = try RunningServe("version: 1\nmode: audit\naudit-until: \(text)\nrules: []\n")
      answer = try gate.send(Self.request)
      status = try gate.tell("status").out
    }
  }

  @Test("CTL-16: audit mode ends when the policy says so, without a reload, and is over for good")
  func auditEnds() throws {
    var watching = try Watching(for: 8)
    // The start took it all: a slow machine gets more.
    if Date() >= watching.end { watching = try Watching(for: 45) }
    let (gate, end, text) = (watching.gate, watching.end, watching.text), request = Watching.request
    try #require(Date() < end)
    #expect(gate.words.contains("until \(text.dropLast())"), "\(gate.words)")
    #expect(!watching.answer.hasPrefix("HTTP/1.1 403"), "the control: it is only watched")
    #expect(watching.status.contains("mode audit until \(text.dropLast())"))
    let deadline = Date(timeIntervalSinceNow: 60)
    var isEnforcing = false
    while !isEnforcing, Date() < deadline {
      isEnforcing = try object(gate.tell("status", "--json").out)["enforcing"] as? Bool ?? false
    }
    #expect(isEnforcing && Date() >= end)
    #expect(try gate.send(request).hasPrefix("HTTP/1.1 403"))
    #expect(try gate.tell("status").out.contains("mode enforce, as audit ended at \(text.dropLast())"))
    #expect(try gate.askLog("tail").out.contains("audit mode ended at \(text.dropLast())"))
    #expect(try gate.tell("reload").err.contains("the time of watching ended"))
    #expect(try object(gate.tell("status", "--json").out)["enforcing"] as? Bool == true)
    #expect(try gate.send(request).hasPrefix("HTTP/1.1 403"))
  }

  @Test("CTL-01: the control socket is its owner's alone")
  func socketMode() throws {
    let gate = try RunningServe()
    let attributes = try FileManager.default.attributesOfItem(atPath: gate.control)
    #expect((attributes[.posixPermissions] as? NSNumber)?.int16Value == 0o600)
  }

  @Test("CTL-15: what is no request is refused, and the gate goes on")
  func hostileControl() throws {
    let gate = try RunningServe()
    for line in [
      "\0\0\0\n", String(repeating: "[", count: 10_000) + "\n", String(repeating: "x", count: 200_000),
    ] {
      let stream = try #require(UnixStream(to: gate.control))
      stream.write(line)
      #expect(stream.readAll().contains("refused"))
    }
    #expect(try gate.tell("status").status == 0)
    #expect(try gate.send("CONNECT evil.example:443 HTTP/1.1\r\n\r\n").hasPrefix("HTTP/1.1 403"))
  }
}

@Suite("What the proxy does not reach", .timeLimit(.minutes(2)))
struct ReachTests {
  @Test(
    "CTL-02: neither the control socket nor the gate's own listener is reached through the proxy, whatever is allowed"
  )
  func ownSockets() throws {
    let own = try OccupiedPort().number, other = try OccupiedPort()
    let gate = try RunningServe(
      """
      version: 1
      agents: { a: { listen: "127.0.0.1:\(own)" } }
      rules:
        - { id: all, action: allow, to: [127.0.0.1/32], protocol: tcp, ports: ["1-65535"], allow-loopback: true }

      """)
    let socket = try gate.send("CONNECT unix:\(gate.control):1 HTTP/1.1\r\n\r\n")
    #expect(socket.hasPrefix("HTTP/1.1 400"), "\(socket)")
    let listener = try gate.send("CONNECT 127.0.0.1:\(own) HTTP/1.1\r\n\r\n")
    #expect(listener.hasPrefix("HTTP/1.1 403") && listener.contains("self-address"), "\(listener)")
    let allowed = try #require(UnixStream(to: gate.scratch.file("proxy.sock")))
    allowed.write("CONNECT 127.0.0.1:\(other.number) HTTP/1.1\r\n\r\n")
    #expect(allowed.readSome().hasPrefix("HTTP/1.1 200"), "another listener of this machine is reached")
  }
}

@Suite("serve that cannot start", .timeLimit(.minutes(2)))
struct FailedStartTests {
  @Test("a wrong policy: all problems, status 65, and no log was made")
  func policy() throws {
    let scratch = try Scratch()
    try scratch.write("policy.yaml", "version: 1\nmood: x\nrules: [{ id: x }]\n")
    let run = try Binary.run(RunningServe.arguments(in: scratch))
    #expect(run.status == 65)
    #expect(run.err.contains("policy.yaml:2:") && run.err.contains("policy.yaml:3:"))
    #expect(!run.err.contains("ready"))
    for file in ["audit.jsonl", "proxy.sock", "control.sock"] { #expect(!scratch.exists(file), "\(file)") }
  }

  @Test("SBX-11: an address somebody listens on: status 78, the remedy, and no other listener was left")
  func occupied() throws {
    let scratch = try Scratch()
    try scratch.write("policy.yaml", samplePolicy)
    let port = try OccupiedPort()
    let run = try Binary.run(
      RunningServe.arguments(in: scratch) + ["--proxy-listen", "127.0.0.1:\(port.number)"])
    #expect(run.status == 78)
    #expect(run.err.contains("127.0.0.1:\(port.number)") && run.err.contains("another address"), "\(run.err)")
    #expect(!scratch.exists("proxy.sock"))
    #expect(!scratch.exists("control.sock"))
    #expect(!scratch.exists("audit.jsonl"))
  }

  @Test("SBX-11: a second gate on the same sockets is refused, and the first goes on")
  func second() throws {
    let gate = try RunningServe()
    let run = try Binary.run(RunningServe.arguments(in: gate.scratch))
    #expect(run.status == 78)
    #expect(try gate.tell("status").status == 0)
    #expect(try gate.send("CONNECT evil.example:443 HTTP/1.1\r\n\r\n").hasPrefix("HTTP/1.1 403"))
  }

  @Test("a log that cannot be written: status 78, and nothing listens")
  func log() throws {
    let scratch = try Scratch()
    try scratch.write("policy.yaml", samplePolicy)
    try scratch.write("file", "")
    let run = try Binary.run(
      RunningServe.arguments(in: scratch) + ["--audit-log", scratch.file("file/audit.jsonl")])
    #expect(run.status == 78)
    #expect(run.err.contains(scratch.file("file")), "\(run.err)")
    #expect(!scratch.exists("proxy.sock"))
  }

  @Test("CTL-15: a file where the control socket belongs: status 78, and nothing listens or is logged")
  func control() throws {
    let scratch = try Scratch()
    try scratch.write("policy.yaml", samplePolicy)
    try scratch.write("control.sock", "")
    let run = try Binary.run(RunningServe.arguments(in: scratch))
    #expect(run.status == 78)
    #expect(!scratch.exists("proxy.sock"))
    #expect(!scratch.exists("audit.jsonl"))
  }
}

/// A TCP port of 127.0.0.1 that somebody listens on.
final class OccupiedPort {
  let number: UInt16
  private let descriptor: Int32

  init() throws {
    descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let descriptor = descriptor
    let bound = withUnsafeMutablePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(descriptor, $0, length) == 0 && listen(descriptor, 1) == 0
          && getsockname(descriptor, $0, &length) == 0
      }
    }
    try #require(bound)
    number = UInt16(bigEndian: address.sin_port)
  }

  deinit { close(descriptor) }
}
