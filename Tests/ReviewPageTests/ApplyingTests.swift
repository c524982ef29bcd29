import Addressing
import Audit
import Control
import Foundation
import Policy
import PolicyFile
import Synchronization
import Testing

@testable import Review
@testable import ReviewPage

/// What adding a rule does to the files, and what the gate is told.
@Suite("Applying a suggestion")
struct ApplyingTests {
  /// A policy that includes an overlay, and a gate that answers what it is told to.
  final class Bench: Sendable {
    let folder: URL
    let asked = Mutex<[ControlRequest]>([])
    let reply: ControlReply
    /// What happens while the gate is asked; a problem stands for an answer that never comes.
    let meanwhile = Mutex<(@Sendable () throws(ReviewProblem) -> Void)?>(nil)

    init(
      _ reply: ControlReply = .reloaded(
        .init(generation: 2, rules: 2, enforcing: true, closed: 0, warnings: []))
    ) throws {
      self.reply = reply
      folder = FileManager.default.temporaryDirectory.appending(path: "exitgate-apply-\(UUID().uuidString)")
      try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
      try write(
        "policy.yaml",
        "version: 1\ninclude: [file:overlay.yaml]\nrules:\n  - { id: a, action: allow, to: [a.test] }\n")
    }

    deinit { try? FileManager.default.removeItem(at: folder) }

    func write(_ name: String, _ text: String) throws {
      try text.write(to: folder.appending(path: name), atomically: false, encoding: .utf8)
    }

    func text(_ name: String) -> String? {
      try? String(contentsOf: folder.appending(path: name), encoding: .utf8)
    }

    func applying(overlay: Bool = true, policy: Bool = true, gate: Bool = true) -> Applying {
      let path = folder.path()
      let settings = ReviewSettings(
        log: "/", policy: policy ? path + "/policy.yaml" : nil,
        overlay: overlay ? path + "/overlay.yaml" : nil)
      let ask: (@Sendable (ControlRequest) throws(ReviewProblem) -> ControlReply)? = {
        request throws(ReviewProblem) in
        self.asked.withLock { $0.append(request) }
        let act = self.meanwhile.withLock { $0 }
        try act?()
        return self.reply
      }
      let hooks = ReviewHooks(
        filter: { _ in RecordFilter() }, explain: { _ in [] }, ask: gate ? ask : nil,
        loader: {
          PolicyLoader(
            runMode: .serve, environment: [:], workingDirectory: $0, now: Timestamp(milliseconds: 0))
        }, now: { Timestamp(milliseconds: 1_795_000_000_000) }, say: { _ in })
      return Applying(settings: settings, hooks: hooks)
    }
  }

  private func group(_ host: String = "b.test", reason: Reason = .noRule) throws -> BlockedReport.Group {
    var kind = RecordKind(event: .decision)
    (kind.agent, kind.verdict, kind.reason) = ("default", .deny, reason.rawValue)
    kind.destination = Destination(.name(try Hostname(host.utf8)), .https, .https)
    let time: Int64 = 1_795_000_000_000
    var report = BlockedReport()
    report.add(
      Tally(
        kind, hour: nil,
        Amount(count: 3, first: time, last: time, earliest: time, bytesOut: 0, bytesIn: 0, lostEvents: 0)))
    return try #require(report.groups.first)
  }

  @Test("a rule is added with who, when and why, all else stays, and the gate is told once")
  func applied() throws {
    let bench = try Bench(), group = try group(),
      old = "# mine\nversion: 1\nrules:\n  - { id: c, action: allow, to: [c.test] }  # why\n"
    try bench.write("overlay.yaml", old)
    let rule = try #require(group.suggestedRule)
    let outcome = bench.applying().apply(group, seen: rule)
    #expect(outcome.isApplied, "\(outcome.text)")
    #expect(outcome.text.contains("generation 2"))
    #expect(bench.asked.withLock { $0 } == [.reload, .status], "told once, and asked whose policy it is")
    let text = try #require(bench.text("overlay.yaml"))
    #expect(text.hasPrefix(old))
    let added = text.dropFirst(old.count).split(separator: "\n")
    #expect(added.count == 2)
    #expect(added[0].contains("# added 2026-11-18T") && added[0].contains("denied 3 times, no-rule"))
    #expect(added[1] == "  - \(rule)")
    #expect(
      try Set(FileManager.default.contentsOfDirectory(atPath: bench.folder.path()))
        == ["policy.yaml", "overlay.yaml", "overlay.yaml.lock"],
      "nothing but the lock is left over")
  }

  @Test("a file that is missing is begun, where no policy has to include it")
  func begun() throws {
    let bench = try Bench(), group = try group()
    let outcome = bench.applying(policy: false, gate: false).apply(
      group, seen: try #require(group.suggestedRule))
    #expect(outcome.isApplied && outcome.text.contains("exitgate reload"), "\(outcome.text)")
    #expect(bench.text("overlay.yaml")?.hasPrefix("version: 1\nrules:\n  # added ") == true)
  }

  @Test("a rule that would have no effect is not added")
  func notIncluded() throws {
    let bench = try Bench(), group = try group()
    try bench.write("policy.yaml", "version: 1\nrules: []\n")
    try bench.write("overlay.yaml", "version: 1\nrules: []\n")
    let outcome = bench.applying().apply(group, seen: try #require(group.suggestedRule))
    #expect(!outcome.isApplied && outcome.text.contains("does not include"))
    #expect(bench.text("overlay.yaml") == "version: 1\nrules: []\n")
  }

  @Test("CTL-11: what the person saw is what is added, or nothing is")
  func seen() throws {
    let bench = try Bench(), group = try group()
    try bench.write("overlay.yaml", "version: 1\nrules: []\n")
    for seen in [
      "", "{ id: all, action: allow, to: [\"**.test\"] }", "\(try #require(group.suggestedRule)) ",
    ] {
      #expect(!bench.applying().apply(group, seen: seen).isApplied)
    }
    #expect(bench.text("overlay.yaml") == "version: 1\nrules: []\n")
    #expect(bench.asked.withLock { $0 }.isEmpty)
  }

  @Test("CTL-14: where a deny rule or the floor stands against it, nothing can be added")
  func deniedForGood() throws {
    for reason in [Reason.denyRule, .selfAddress, .rebinding] {
      let bench = try Bench(), group = try group(reason: reason)
      #expect(group.suggestedRule == nil)
      #expect(!bench.applying().apply(group, seen: "").isApplied)
      #expect(bench.text("overlay.yaml") == nil)
    }
  }

  @Test("what the gate or the policy refuses is taken back")
  func takenBack() throws {
    let group = try group(), rule = try #require(group.suggestedRule), old = "version: 1\nrules: []\n"
    let refusing = try Bench(.reloadRefused(problems: ["no"]))
    try refusing.write("overlay.yaml", old)
    #expect(refusing.applying().apply(group, seen: rule) == .init(isApplied: false, text: "taken back: no"))
    #expect(refusing.text("overlay.yaml") == old)
  }

  @Test("CTL-11: an answer that comes too late, or never, takes no rule back that was written")
  func late() throws {
    let group = try group(), rule = try #require(group.suggestedRule), bench = try Bench()
    try bench.write("overlay.yaml", "version: 1\nrules: []\n")
    bench.meanwhile.withLock {
      $0 = { () throws(ReviewProblem) in throw ReviewProblem("it takes too long.") }
    }
    let outcome = bench.applying().apply(group, seen: rule)
    #expect(outcome.isApplied && outcome.text.contains("not known: it takes too long."), "\(outcome.text)")
    #expect(bench.text("overlay.yaml")?.contains(rule) == true)
  }

  @Test("CTL-11: what somebody else wrote while the gate was asked is not taken back with a rule")
  func changedMeanwhile() throws {
    let group = try group(), rule = try #require(group.suggestedRule)
    let bench = try Bench(.reloadRefused(problems: ["no."]))
    try bench.write("overlay.yaml", "version: 1\nrules: []\n")
    bench.meanwhile.withLock {
      $0 = { () throws(ReviewProblem) in try? bench.write("overlay.yaml", "version: 1\nrules: []\n# mine\n") }
    }
    let outcome = bench.applying().apply(group, seen: rule)
    #expect(!outcome.isApplied && outcome.text.contains("no. It could not be taken back"), "\(outcome.text)")
    #expect(bench.text("overlay.yaml")?.hasSuffix("# mine\n") == true)
  }

  @Test("CTL-11: whoever else writes the file is waited for, and what he wrote stays")
  func locked() throws {
    let group = try group(), rule = try #require(group.suggestedRule), bench = try Bench()
    try bench.write("overlay.yaml", "version: 1\nrules: []\n")
    let lock = open(bench.folder.path() + "/overlay.yaml.lock", O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
    try #require(lock >= 0 && flock(lock, LOCK_EX) == 0)
    let ended = Mutex<Applying.Outcome?>(nil), isOver = DispatchSemaphore(value: 0)
    Thread.detachNewThread {
      let outcome = bench.applying().apply(group, seen: rule)
      ended.withLock { $0 = outcome }
      isOver.signal()
    }
    // Long enough for one who does not wait; what follows would then overwrite what he wrote.
    usleep(200_000)
    #expect(ended.withLock { $0 } == nil && bench.asked.withLock { $0 }.isEmpty)
    try bench.write("overlay.yaml", "version: 1\nrules:\n  - { id: c, action: allow, to: [c.test] }\n")
    close(lock)
    isOver.wait()
    #expect(ended.withLock { $0 }?.isApplied == true)
    let text = try #require(bench.text("overlay.yaml"))
    #expect(text.contains("id: c,") && text.contains(rule))
  }

  @Test(
    "CTL-15: whoever keeps the file for ever holds up one answer for three seconds, and no other for good")
  func lockedForEver() throws {
    let group = try group(), rule = try #require(group.suggestedRule), bench = try Bench()
    try bench.write("overlay.yaml", "version: 1\nrules: []\n")
    let lock = open(bench.folder.path() + "/overlay.yaml.lock", O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
    try #require(lock >= 0 && flock(lock, LOCK_EX) == 0)
    let outcome = bench.applying().apply(group, seen: rule)
    #expect(!outcome.isApplied && outcome.text.contains("overlay.yaml.lock"), "\(outcome.text)")
    #expect(bench.text("overlay.yaml") == "version: 1\nrules: []\n" && bench.asked.withLock { $0 }.isEmpty)
    close(lock)
    #expect(bench.applying().apply(group, seen: rule).isApplied, "the control")
  }

  @Test("with which the policy would not load is not written, not even for a moment")
  func policyRefuses() throws {
    let group = try group(), rule = try #require(group.suggestedRule), old = "version: 1\nrules: []\n"
    let bench = try Bench()
    try bench.write("overlay.yaml", old)
    let id = try #require(rule.firstMatch(of: /id: "([^"]+)"/)?.1)
    try bench.write(
      "policy.yaml",
      "version: 1\ninclude: [file:overlay.yaml]\nrules:\n  - { id: \(id), action: allow, to: [b.test] }\n")
    let outcome = bench.applying().apply(group, seen: rule)
    #expect(!outcome.isApplied && outcome.text.contains("overlay.yaml:"), "\(outcome.text)")
    #expect(bench.text("overlay.yaml") == old)
    #expect(bench.asked.withLock { $0 }.isEmpty)
  }

  @Test("a file that is no policy, or in which everybody may write, is left alone")
  func unfit() throws {
    let group = try group(), rule = try #require(group.suggestedRule)
    for text in [
      "rules: {", "version: 2\n", "version: 1\nrules: [ { id: a, action: allow, to: [a.test] } ]\n",
    ] {
      let bench = try Bench()
      try bench.write("overlay.yaml", text)
      let outcome = bench.applying().apply(group, seen: rule)
      #expect(!outcome.isApplied && outcome.text.contains("overlay.yaml"), "\(outcome.text)")
      #expect(bench.text("overlay.yaml") == text)
    }
    let open = try Bench()
    try open.write("overlay.yaml", "version: 1\nrules: []\n")
    chmod(open.folder.path() + "/overlay.yaml", 0o666)
    #expect(!open.applying().apply(group, seen: rule).isApplied)
  }

  @Test("a symbolic link is not changed, and what it leads to is not either; mode stays where it is none")
  func link() throws {
    let bench = try Bench(), group = try group(), old = "version: 1\nrules: []\n"
    try bench.write("real.yaml", old)
    let real = bench.folder.path() + "/real.yaml", link = bench.folder.path() + "/overlay.yaml"
    chmod(real, 0o640)
    symlink("real.yaml", link)
    let rule = try #require(group.suggestedRule), outcome = bench.applying().apply(group, seen: rule)
    #expect(!outcome.isApplied && outcome.text.contains("is a symbolic link"), "\(outcome.text)")
    #expect(bench.text("real.yaml") == old)
    // The control.
    rename(real, link)
    #expect(bench.applying().apply(group, seen: rule).isApplied)
    var status = stat()
    #expect(lstat(link, &status) == 0 && status.st_mode & 0o777 == 0o640)
    #expect(bench.text("overlay.yaml")?.contains("b.test") == true)
  }

  @Test("where the lock is another's, it is the lock that is named")
  func lockRefused() throws {
    let bench = try Bench(), group = try group(), old = "version: 1\nrules: []\n"
    try bench.write("overlay.yaml", old)
    let lock = bench.folder.path() + "/overlay.yaml.lock"
    symlink("nowhere", lock)
    let rule = try #require(group.suggestedRule), outcome = bench.applying().apply(group, seen: rule)
    #expect(
      !outcome.isApplied && outcome.text.contains("overlay.yaml.lock' cannot be written"), "\(outcome.text)")
    #expect(outcome.text.contains("--rules") && bench.text("overlay.yaml") == old)
    unlink(lock)
    #expect(bench.applying().apply(group, seen: rule).isApplied, "the control")
  }

  @Test("without --rules nothing is changed")
  func none() throws {
    let bench = try Bench(), group = try group()
    let outcome = bench.applying(overlay: false).apply(group, seen: try #require(group.suggestedRule))
    #expect(!outcome.isApplied && outcome.text.contains("--rules"))
  }
}
