import Confinement
import Firewall
import PolicyFile

/// Modes with a kernel table, which need a keeper and a user for the gate.
private let fenced: [RunMode] = [.sidecar, .gateway]

extension HostFacts {
  /// What the facts mean.
  var examination: Examination {
    Examination(
      findings: [
        kernelFinding, identityFinding, netAdmin, gateUserFinding, namespaces, landlockFinding,
        seccomp, group, transparentFinding,
      ]
        + table + [ports, addresses, forwarding, markedSources, looseness, flowRoom, pings, uring]
        + families.map(\.finding))
  }

  // MARK: - Privileges

  private var kernelFinding: Finding {
    Finding(id: "kernel", title: "kernel", state: .present, detail: "\(kernel) on \(machine)")
  }

  private var identityFinding: Finding {
    Finding(
      id: "user", title: "this process", state: .present,
      detail: "user \(user), capabilities \(capabilities.inWords)")
  }

  private var netAdmin: Finding {
    let has = capabilities.contains(.netAdmin)
    let counts = parts != .notPermitted
    return Finding(
      id: "net-admin", title: "CAP_NET_ADMIN", state: !has ? .absent : counts ? .present : .limited,
      detail: !has ? "missing" : counts ? "here" : "here, but not over this network namespace",
      needs: [
        Need(
          modes: fenced, severity: .required, loss: "no table can be put in force",
          remedy:
            "Run as root in the network namespace of the agent, or give the container the NET_ADMIN capability.",
          isMet: has && counts)
      ])
  }

  /// As root it becomes somebody else, which takes capabilities and that somebody.
  private var gateUserFinding: Finding {
    guard user == 0 else {
      return Finding(
        id: "gate-user", title: "user of the gate", state: .limited, detail: "stays user \(user)",
        needs: [
          Need(
            modes: fenced, severity: .weakens,
            loss: "keeper and gate are one user, so no canary can prove that the table holds",
            remedy: "Start as root; the gate becomes user \(gateUser) by itself.", isMet: false)
        ])
    }
    let missing = Capabilities([.setuid, .setgid]).subtracting(capabilities)
    let detail =
      !hasGateUser
      ? "user \(gateUser) does not exist in this user namespace"
      : missing.isEmpty ? "becomes user \(gateUser)" : "cannot change: without \(missing)"
    return Finding(
      id: "gate-user", title: "user of the gate", state: hasGateUser && missing.isEmpty ? .present : .absent,
      detail: detail,
      needs: [
        Need(
          modes: fenced, severity: .required, loss: "the gate would stay root, as the agent may be too",
          remedy: hasGateUser
            ? "Give the container the SETUID and SETGID capabilities."
            : "Map more users into the user namespace, or name one that is there with --user.",
          isMet: hasGateUser && missing.isEmpty)
      ])
  }

  // MARK: - Confinement

  private var landlockFinding: Finding {
    let gaps = LandlockRuleset.gate.gaps(abi: landlock)
    let ofCommands = LandlockRuleset.commandGaps(abi: landlock)
    return Finding(
      id: "landlock", title: "Landlock",
      state: landlock == nil ? .absent : gaps.isEmpty ? .present : .limited,
      detail: landlock.map { "ABI \($0)" } ?? "none",
      needs: [
        Need(
          modes: [.run], severity: .required,
          loss: landlock == nil
            ? "the files of the command's user cannot be put out of reach"
            : ofCommands.joined(separator: "; "),
          remedy: Self.landlockRemedy + " Or say 'run --allow-weaker landlock'.", isMet: ofCommands.isEmpty),
        Need(
          modes: RunMode.allCases, severity: .weakens,
          loss: landlock == nil ? "the file access of the gate is not limited" : gaps.joined(separator: "; "),
          remedy: Self.landlockRemedy, isMet: gaps.isEmpty),
      ])
  }

  private static let landlockRemedy =
    "Use Linux 6.12 or later with CONFIG_SECURITY_LANDLOCK and 'landlock' among the LSMs (lsm= on the kernel command line)."

  private var seccomp: Finding {
    let remedy = "Use a kernel with CONFIG_SECCOMP_FILTER."
    return Finding(
      id: "seccomp", title: "seccomp filters", state: hasSeccomp ? .present : .absent,
      detail: hasSeccomp ? "here" : "none",
      needs: [
        Need(
          modes: [.run] + fenced, severity: .required, loss: "system calls cannot be limited", remedy: remedy,
          isMet: hasSeccomp),
        Need(
          modes: [.serve], severity: .weakens, loss: "the gate's system calls are not limited",
          remedy: remedy,
          isMet: hasSeccomp),
      ])
  }

  private var group: Finding {
    var finding = Finding(id: "cgroup", title: "control group", state: .present, detail: "")
    let isOwn: Bool
    switch controlGroup {
    case .noHierarchy:
      (finding.state, isOwn) = (.absent, false)
      finding.detail = "cgroup v2 is not mounted"
    case .root(let mount):
      (finding.state, isOwn) = (.limited, false)
      finding.detail = "cgroup v2 at \(mount); this process is in the root group, with everybody"
    case .group(let path, let others, let isDelegated, let isMatched):
      isOwn = others == 0 && isMatched != false
      finding.state = isOwn ? .present : .limited
      let company = others == 0 ? "alone in" : "with \(count(others, "other process")) in"
      finding.detail =
        "\(company) /\(path)\(isDelegated ? ", delegated" : "")\(isMatched == false ? ", which no rule can name" : "")"
    }
    finding.needs = [
      Need(
        modes: [.sidecar], severity: .required,
        loss: "whoever becomes the gate's user in the agent's container would be exempt too",
        remedy: "Start it in a control group of its own, as containers and systemd units are, or say "
          + "--accept-weaker-exemption.", isMet: isOwn)
    ]
    return finding
  }

  private var transparentFinding: Finding {
    Finding(
      id: "transparent", title: "IP_TRANSPARENT", attempt: transparent,
      needs: [
        Need(
          modes: [.gateway], severity: .required, loss: "connections to other hosts cannot be taken",
          remedy: "Give it CAP_NET_ADMIN over this network namespace.", isMet: transparent == .done)
      ])
  }
}

// MARK: - Namespaces

extension HostFacts {
  private var namespaces: Finding {
    let own = userNamespaces
    let isUsable = own.made == .done && own.others == .done
    var needs = [
      Need(
        modes: [.run], severity: .required, loss: "a command cannot be put into namespaces of its own",
        remedy: own.remedy, isMet: isUsable)
    ]
    needs += own.tableNeeds
    needs.append(
      Need(
        modes: fenced, severity: .exposes,
        loss: "an agent can make a user namespace and reach nf_tables and more of the kernel in it",
        remedy:
          "Refuse it the system call by seccomp, or set user.max_user_namespaces=0, without which 'run' cannot.",
        isMet: own.made != .done || own.parts.isOutOfReach))
    return Finding(
      id: "user-namespaces", title: "user namespaces",
      state: isUsable ? .present : own.made == .done ? .limited : .absent, detail: own.detail, needs: needs)
  }
}

extension HostFacts.UserNamespaces {
  fileprivate var detail: String {
    let bound = limit.map { ", at most \($0)" } ?? ""
    if case .refused(let why) = made { return "refused: \(why)\(bound)" }
    if made == .absent { return "the kernel has none" }
    if case .refused(let why) = others { return "without rights in them: \(why)\(bound)" }
    return "this user can make them\(bound)"
      + (isRestrictedByAppArmor == true ? ", though AppArmor restricts them for others" : "")
  }

  fileprivate var remedy: String {
    if limit == 0 { return "Set user.max_user_namespaces above 0 (sysctl)." }
    if isRestrictedByAppArmor == true {
      return
        "Give exitgate an AppArmor profile with 'userns,', or set kernel.apparmor_restrict_unprivileged_userns=0."
    }
    if areOpenToAll == false { return "Set kernel.unprivileged_userns_clone=1 (sysctl)." }
    return "Let the container make namespaces: its seccomp profile must allow unshare(2) and clone3(2)."
  }

  /// What `run` needs of nf_tables in the namespace that it makes.
  fileprivate var tableNeeds: [Need] {
    switch parts {
    case .found(let parts):
      parts.filter { $0.error != nil && $0.isRequired }.map {
        Need(
          modes: [.run], severity: .required, loss: "\($0.loss): \($0.name) is missing",
          remedy: "Use a kernel that is built with it.", isMet: false)
      }
    case .notPermitted: []
    case .failed(let why):
      [
        Need(
          modes: [.run], severity: .required, loss: "no table can be put in force in a namespace",
          remedy: why,
          isMet: false)
      ]
    }
  }
}

extension HostFacts.Looked {
  /// Whether what was looked for cannot be used.
  fileprivate var isOutOfReach: Bool {
    if case .found = self { false } else { true }
  }
}

// MARK: - The table

extension HostFacts {
  private var table: [Finding] {
    switch parts {
    case .found(let parts): parts.map(\.finding)
    case .notPermitted:
      [
        Finding(
          id: "nf-tables", title: "nf_tables", state: .unlooked, detail: "looking takes CAP_NET_ADMIN",
          needs: [
            Need(
              modes: fenced, severity: .required, loss: "nobody knows whether the kernel can hold the table",
              remedy: "Run 'exitgate doctor' as root.", isMet: nil)
          ])
      ]
    case .failed(let why):
      [
        Finding(
          id: "nf-tables", title: "nf_tables", state: .absent, detail: why,
          needs: [
            Need(
              modes: fenced, severity: .required, loss: "no table can be put in force",
              remedy: "Use a kernel with CONFIG_NF_TABLES and CONFIG_NF_TABLES_INET.", isMet: false)
          ])
      ]
    }
  }
}

extension HostFacts.Part {
  fileprivate var finding: Finding {
    Finding(
      id: "nf-tables:\(slug)", title: name, state: error == nil ? .present : .absent, detail: error ?? "here",
      needs: [
        Need(
          modes: modes, severity: isRequired ? .required : .weakens, loss: loss,
          remedy: "Use a kernel that is built with it.", isMet: error == nil)
      ])
  }

  /// The words of the name that stand before any bracket.
  private var slug: String {
    name.prefix { $0 != "(" }.split { !($0.isASCII && ($0.isLetter || $0.isNumber || $0 == "_")) }
      .joined(separator: "-")
  }
}

// MARK: - The network

extension HostFacts {
  private var ports: Finding {
    let first = unprivilegedPorts ?? 1024
    let mayAll = first <= 53 || capabilities.contains(.netBindService)
    return Finding(
      id: "unprivileged-ports", title: "unprivileged ports", state: .present, detail: "from \(first)",
      needs: [
        Need(
          modes: [.serve], severity: .weakens, loss: "no listener below port \(first), such as DNS on 53",
          remedy: "Give it CAP_NET_BIND_SERVICE, or set net.ipv4.ip_unprivileged_port_start.", isMet: mayAll)
      ])
  }

  private var addresses: Finding {
    let (state, detail): (Finding.State, String) =
      switch ipv6 {
      case .absent: (.absent, "off; the gate dials IPv4 alone")
      case .local: (.limited, "no address that leads out; the gate dials IPv4 alone")
      case .routed: (.present, "here")
      }
    return Finding(id: "ipv6", title: "IPv6", state: state, detail: detail)
  }

  private var forwarding: Finding {
    Finding(
      id: "ip-forward", title: "forwarding", state: forwards == true ? .present : .absent,
      detail: "net.ipv4.ip_forward is \(forwards.map { $0 ? "1" : "0" } ?? "not there")",
      needs: [
        Need(
          modes: [.gateway], severity: .weakens, loss: "what rules of 'protocol: udp' grant is not forwarded",
          remedy: "Set net.ipv4.ip_forward=1 (sysctl) in the gateway's network namespace.",
          isMet: forwards == true)
      ])
  }

  /// With it the source of a captured packet is looked up under its mark, and found to be this host's own.
  private var markedSources: Finding {
    Finding(
      id: "src-valid-mark", title: "src_valid_mark", state: looksUpMarkedSources ? .limited : .present,
      detail: "net.ipv4.conf.all.src_valid_mark is \(looksUpMarkedSources ? "1" : "0")",
      needs: [
        Need(
          modes: [.gateway], severity: .required, loss: "the kernel drops what was captured",
          remedy: "Set net.ipv4.conf.all.src_valid_mark=0 (sysctl) in the gateway's network namespace.",
          isMet: !looksUpMarkedSources)
      ])
  }

  /// Either value does: what begins in the middle is dropped by the tables themselves.
  private var looseness: Finding {
    let words = [
      0: "0: a flow begins with its first packet",
      1: "1: the tables themselves drop what begins in the middle",
    ]
    return Finding(
      id: "tcp-loose", title: "nf_conntrack_tcp_loose", state: tcpLoose == nil ? .absent : .present,
      detail: tcpLoose.map { words[$0] ?? "\($0)" } ?? "no connection tracking so far")
  }

  /// A gateway's agents share what there is; it says so at its start, where it knows how many there are.
  private var flowRoom: Finding {
    let room = FlowRoom(most: trackedFlows), whole = Int(GatewayTable.flowsPerAgent)
    let agents = (trackedFlows ?? 0) / FlowRoom.wanted(agents: 1)
    return Finding(
      id: "conntrack-max", title: "nf_conntrack_max",
      state: trackedFlows == nil ? .absent : agents == 0 ? .limited : .present,
      detail: trackedFlows.map {
        "\($0): "
          + (agents == 0
            ? "room for \(room.limit(agents: 1)) flows of an agent"
            : "room for \(whole) flows of each of \(count(agents, "agent"))")
      } ?? "no connection tracking so far",
      needs: [
        Need(
          modes: [.gateway], severity: .weakens, loss: "an agent has fewer than \(whole) tracked flows",
          remedy:
            "Set net.netfilter.nf_conntrack_max (sysctl) on the host to \(FlowRoom.wanted(agents: 1)) for each agent.",
          isMet: trackedFlows == nil || agents > 0)
      ])
  }

  /// What they send is dropped by the tables as any other ICMP is.
  private var pings: Finding {
    let isOpen = pingGroups.count == 2 && pingGroups[0] <= pingGroups[1]
    return Finding(
      id: "ping-groups", title: "ping sockets", state: isOpen ? .present : .absent,
      detail: isOpen
        ? "groups \(pingGroups[0]) to \(pingGroups[1]); the tables drop what they send" : "for nobody")
  }

  private var uring: Finding {
    Finding(
      id: "io-uring", title: "io_uring", attempt: ioUring,
      needs: [
        Need(
          modes: fenced, severity: .exposes,
          loss: "an agent can make sockets past a seccomp filter of socket(2)",
          remedy: "Refuse it io_uring_setup(2) by seccomp, or set kernel.io_uring_disabled=2.",
          isMet: ioUring != .done)
      ])
  }
}

extension HostFacts.Family {
  fileprivate var finding: Finding {
    Finding(
      id: "family:\(name)", title: "sockets of AF_\(name)", attempt: opening,
      needs: [
        Need(
          modes: fenced, severity: .exposes, loss: "an agent can open them: \(leads)",
          remedy: "Let its seccomp profile allow the families UNIX, INET, INET6 and routes of NETLINK alone.",
          isMet: opening != .done)
      ])
  }
}

extension Finding {
  fileprivate init(id: String, title: String, attempt: HostFacts.Attempt, needs: [Need]) {
    let (state, detail): (State, String) =
      switch attempt {
      case .done: (.present, "here")
      case .refused(let why): (.absent, "refused: \(why)")
      case .absent: (.absent, "the kernel has none")
      }
    self.init(id: id, title: title, state: state, detail: detail, needs: needs)
  }
}

extension Capabilities {
  /// What is there, or where that is most what is not.
  fileprivate var inWords: String {
    let missing = Self.all.subtracting(self)
    return missing.isEmpty ? "all" : words.count > missing.words.count ? "all but \(missing)" : "\(self)"
  }

  /// Every one that this version of the program knows of.
  private static let all = Capabilities(rawValue: 1 << 41 - 1)
}

extension LandlockRuleset {
  /// What the gate's profile asks for, as far as the kernel's version matters.
  fileprivate static let gate = LandlockRuleset()
}
