import Audit
import Confinement
import PolicyFile
import Testing

@testable import exitgate

/// From what was seen to what each mode can do: values alone, no host.
@Suite("What the doctor makes of a host")
struct ExaminationTests {
  /// A host on which everything runs: root in a container of its own on a new kernel.
  static let whole: HostFacts = {
    var facts = HostFacts()
    (facts.kernel, facts.machine) = ("6.18.44", "x86_64")
    facts.capabilities = [.netAdmin, .setuid, .setgid, .netBindService]
    facts.gateUser = 2001
    facts.userNamespaces.limit = 1000
    facts.userNamespaces.parts = .found([part("reject")])
    facts.landlock = 7
    facts.controlGroup = .group(path: "pod/gate", others: 0, isDelegated: false, isMatched: true)
    facts.parts = .found([part("reject"), part("tproxy", [.gateway]), part("socket cgroupv2", [.sidecar])])
    facts.ipv6 = .routed
    facts.forwards = true
    facts.tcpLoose = 1
    facts.pingGroups = [1, 0]
    facts.ioUring = .refused("Operation not permitted")
    return facts
  }()

  static func part(
    _ name: String, _ modes: [RunMode] = [.sidecar, .gateway], isRequired: Bool = true, error: String? = nil
  ) -> HostFacts.Part {
    HostFacts.Part(name: name, loss: "loss of \(name)", modes: modes, isRequired: isRequired, error: error)
  }

  struct Case: Sendable, CustomTestStringConvertible {
    var testDescription: String
    /// What is changed about the whole host.
    var change: @Sendable (inout HostFacts) -> Void
    /// The verdicts of serve, run, sidecar and gateway.
    var verdicts: [Verdict]
    /// What the gravest loss of the first mode that is not whole speaks of, and its remedy.
    var finding = "", remedy = ""
  }

  static let cases = [
    Case(
      testDescription: "everything is there", change: { _ in }, verdicts: [.runs, .runs, .runs, .runs]),
    Case(
      testDescription: "an ordinary user without the capability",
      change: {
        $0.user = 1000
        $0.capabilities = []
        $0.parts = .notPermitted
        $0.unprivilegedPorts = 1024
      }, verdicts: [.weaker, .runs, .cannot, .cannot], finding: "unprivileged-ports",
      remedy: "CAP_NET_BIND_SERVICE"),
    Case(
      testDescription: "an ordinary user with it: no canary",
      change: {
        $0.user = 1000
        $0.capabilities = .netAdmin
        $0.unprivilegedPorts = 0
      }, verdicts: [.runs, .runs, .weaker, .weaker], finding: "gate-user", remedy: "Start as root"),
    Case(
      testDescription: "the capability of another network namespace's",
      change: { $0.parts = .notPermitted }, verdicts: [.runs, .runs, .cannot, .cannot], finding: "net-admin",
      remedy: "NET_ADMIN"),
    Case(
      testDescription: "root that cannot become another user",
      change: { $0.capabilities = [.netAdmin, .netBindService] },
      verdicts: [.runs, .runs, .cannot, .cannot], finding: "gate-user", remedy: "SETUID and SETGID"),
    Case(
      testDescription: "a user namespace with one user", change: { $0.hasGateUser = false },
      verdicts: [.runs, .runs, .cannot, .cannot], finding: "gate-user", remedy: "--user"),
    Case(
      testDescription: "the kernel has no nf_tables",
      change: { $0.parts = .failed("cannot open the socket") }, verdicts: [.runs, .runs, .cannot, .cannot],
      finding: "nf-tables", remedy: "CONFIG_NF_TABLES"),
    Case(
      testDescription: "a part that the gateway alone requires",
      change: { $0.parts = .found([part("tproxy", [.gateway], error: "no such thing")]) },
      verdicts: [.runs, .runs, .runs, .cannot], finding: "nf-tables:tproxy", remedy: "built with it"),
    Case(
      testDescription: "a part that nobody requires",
      change: {
        $0.parts = .found([part("table flags owner and persist (Linux 6.9)", isRequired: false, error: "no")])
      }, verdicts: [.runs, .runs, .weaker, .weaker], finding: "nf-tables:table-flags-owner-and-persist",
      remedy: "built with it"),
    Case(
      testDescription: "user namespaces are used up",
      change: { $0.userNamespaces.made = .refused("no space") },
      verdicts: [.runs, .cannot, .runs, .runs], finding: "user-namespaces",
      remedy: "seccomp profile must allow"),
    Case(
      testDescription: "user namespaces are switched off",
      change: {
        $0.userNamespaces.limit = 0
        $0.userNamespaces.made = .refused("no space")
      }, verdicts: [.runs, .cannot, .runs, .runs], finding: "user-namespaces",
      remedy: "user.max_user_namespaces above 0"),
    Case(
      testDescription: "AppArmor takes the rights in user namespaces away",
      change: {
        $0.userNamespaces.isRestrictedByAppArmor = true
        $0.userNamespaces.others = .refused("Operation not permitted")
        $0.userNamespaces.parts = .notPermitted
      }, verdicts: [.runs, .cannot, .runs, .runs], finding: "user-namespaces",
      remedy: "apparmor_restrict_unprivileged_userns"),
    Case(
      testDescription: "Debian's switch for ordinary users is off",
      change: {
        $0.userNamespaces.areOpenToAll = false
        $0.userNamespaces.made = .refused("Operation not permitted")
      }, verdicts: [.runs, .cannot, .runs, .runs], finding: "user-namespaces",
      remedy: "kernel.unprivileged_userns_clone=1"),
    Case(
      testDescription: "namespaces without a part of nf_tables",
      change: { $0.userNamespaces.parts = .found([part("reject", [.run], error: "no")]) },
      verdicts: [.runs, .cannot, .runs, .runs], finding: "user-namespaces", remedy: "built with it"),
    Case(
      testDescription: "no Landlock", change: { $0.landlock = nil },
      verdicts: [.weaker, .cannot, .weaker, .weaker], finding: "landlock", remedy: "CONFIG_SECURITY_LANDLOCK"),
    Case(
      testDescription: "an old Landlock", change: { $0.landlock = 3 },
      verdicts: [.weaker, .cannot, .weaker, .weaker], finding: "landlock", remedy: "Linux 6.12"),
    Case(
      testDescription: "no seccomp", change: { $0.hasSeccomp = false },
      verdicts: [.weaker, .cannot, .cannot, .cannot], finding: "seccomp", remedy: "CONFIG_SECCOMP_FILTER"),
    Case(
      testDescription: "the root group", change: { $0.controlGroup = .root(mount: "/sys/fs/cgroup") },
      verdicts: [.runs, .runs, .cannot, .runs], finding: "cgroup", remedy: "--accept-weaker-exemption"),
    Case(
      testDescription: "a group with others in it",
      change: { $0.controlGroup = .group(path: "x", others: 2, isDelegated: true, isMatched: true) },
      verdicts: [.runs, .runs, .cannot, .runs], finding: "cgroup", remedy: "--accept-weaker-exemption"),
    Case(
      testDescription: "no tree of groups", change: { $0.controlGroup = .noHierarchy },
      verdicts: [.runs, .runs, .cannot, .runs], finding: "cgroup", remedy: "--accept-weaker-exemption"),
    Case(
      testDescription: "nothing is forwarded", change: { $0.forwards = false },
      verdicts: [.runs, .runs, .runs, .weaker], finding: "ip-forward", remedy: "net.ipv4.ip_forward=1"),
    Case(
      testDescription: "sources are looked up under the packet's mark",
      change: { $0.looksUpMarkedSources = true },
      verdicts: [.runs, .runs, .runs, .cannot], finding: "src-valid-mark", remedy: "src_valid_mark=0"),
    Case(
      testDescription: "NFT-26: so few flows are tracked that one agent gets less",
      change: { $0.trackedFlows = 16_383 },
      verdicts: [.runs, .runs, .runs, .weaker], finding: "conntrack-max", remedy: "16384 for each agent"),
    Case(
      testDescription: "just enough", change: { $0.trackedFlows = 16_384 },
      verdicts: [.runs, .runs, .runs, .runs]),
    Case(
      testDescription: "transparent sockets are refused", change: { $0.transparent = .refused("no") },
      verdicts: [.runs, .runs, .runs, .cannot], finding: "transparent", remedy: "CAP_NET_ADMIN"),
    Case(
      testDescription: "no IPv6, ping sockets for all, no connection tracking so far",
      change: {
        $0.ipv6 = .absent
        $0.pingGroups = [0, 2_147_483_647]
        $0.tcpLoose = nil
      }, verdicts: [.runs, .runs, .runs, .runs]),
  ]

  @Test("each lack tells on the modes that need it, with its remedy", arguments: cases)
  func verdicts(_ one: Case) throws {
    var facts = Self.whole
    one.change(&facts)
    let examination = facts.examination
    #expect(RunMode.allCases.map(examination.verdict) == one.verdicts)
    guard let mode = zip(RunMode.allCases, one.verdicts).first(where: { $0.1 != .runs })?.0 else { return }
    let gravest = try #require(examination.losses(of: mode).first)
    #expect(gravest.finding.id == one.finding)
    #expect(gravest.need.remedy.contains(one.remedy), "\(gravest.need.remedy)")
  }

  @Test("what could not be looked at is no yes")
  func unknown() {
    let need = Need(modes: [.run], severity: .required, loss: "a", remedy: "b", isMet: nil)
    let one = Examination(
      findings: [Finding(id: "a", title: "a", state: .unlooked, detail: "", needs: [need])])
    #expect(one.verdict(for: .run) == .unknown && !one.verdict(for: .run).isYes)
    #expect(one.verdict(for: .serve) == .runs)
  }

  @Test("NFT-13, NFT-25: what an agent could reach past the gate is told, and changes no verdict")
  func exposures() {
    var facts = Self.whole
    facts.ioUring = .done
    facts.families = [
      HostFacts.Family(name: "VSOCK", leads: "the host", opening: .done),
      HostFacts.Family(name: "XDP", leads: "frames", opening: .refused("Operation not permitted")),
      HostFacts.Family(name: "TIPC", leads: "a cluster", opening: .absent),
    ]
    let examination = facts.examination
    #expect(examination.verdict(for: .sidecar) == .runs)
    let open = examination.losses(of: .sidecar)
    #expect(open.allSatisfy { $0.need.severity == .exposes })
    #expect(open.map(\.finding.id) == ["user-namespaces", "io-uring", "family:VSOCK"])
    facts.userNamespaces.made = .refused("no space")
    #expect(!facts.examination.losses(of: .sidecar).map(\.finding.id).contains("user-namespaces"))
  }

  @Test("what the child says is read back; what makes no sense is not")
  func trial() {
    var facts = HostFacts.UserNamespaces()
    facts.take("part\treject\tclients wait\t!\t\npart\ttproxy\tnothing is captured\t\tno such thing\n")
    #expect(
      facts.parts
        == .found([
          HostFacts.Part(name: "reject", loss: "clients wait", modes: [.run], isRequired: true),
          HostFacts.Part(
            name: "tproxy", loss: "nothing is captured", modes: [.run], isRequired: false,
            error: "no such thing"),
        ]))
    for (text, made, others) in [
      ("unmade\tno space", HostFacts.Attempt.refused("no space"), HostFacts.Attempt.done),
      ("unfilled\tnot permitted", .done, .refused("not permitted")), ("", .done, .done),
      ("part\t", .done, .done),
      ("boo\thoo", .done, .done),
    ] {
      var facts = HostFacts.UserNamespaces()
      facts.take(text)
      #expect(facts.made == made && facts.others == others, "\(text)")
      #expect(facts.parts == .notPermitted)
    }
  }

  @Test("the object for programs says all of it")
  func json() throws {
    var facts = Self.whole
    facts.landlock = nil
    let json = facts.examination.json(built: [.serve, .sidecar])
    let modes = try #require(json["modes"]?.elements)
    #expect(modes.map { $0["mode"]?.text } == RunMode.allCases.map(\.rawValue))
    #expect(modes.map { $0["built"]?.bool } == [true, false, true, false])
    #expect(modes[1]["verdict"]?.text == "cannot")
    let loss = try #require(modes[1]["losses"]?.elements?.first)
    #expect(loss["finding"]?.text == "landlock" && loss["severity"]?.text == "required")
    let findings = try #require(json["findings"]?.elements)
    #expect(findings.count == facts.examination.findings.count)
    #expect(Set(findings.compactMap { $0["id"]?.text }).count == findings.count, "each has a word of its own")
  }

  @Test("people read the same")
  func page() {
    var facts = Self.whole
    facts.forwards = false
    let lines = ExaminationPage(facts.examination, of: [.gateway], built: []).lines.map(\.plain)
    #expect(lines.contains("gateway: runs, and holds less, which this version does not have yet"))
    #expect(lines.contains { $0.hasPrefix("  lost: forwarding: ") })
    #expect(!lines.contains { $0.hasPrefix("serve: ") })
  }
}
