import Confinement
import PolicyFile

/// What was seen of the host: values alone, so that judging them needs no host.
struct HostFacts: Hashable, Sendable {
  /// What uname(2) says: `6.18.44`, `x86_64`.
  var kernel = ""
  var machine = ""
  /// The user that looks, and its capabilities.
  var user: UInt32 = 0
  var capabilities: Capabilities = []
  /// Whom `sidecar` and `gateway` become, and whether this user namespace has that user.
  var gateUser: UInt32 = 0
  var hasGateUser = true
  var userNamespaces = UserNamespaces()
  /// Landlock's ABI; nil without it.
  var landlock: Int?
  var hasSeccomp = true
  var controlGroup = ControlGroupFacts.noHierarchy
  /// Parts of nf_tables, tried in scratch tables of this network namespace.
  var parts = Looked<[Part]>.notPermitted
  /// net.ipv4.ip_unprivileged_port_start.
  var unprivilegedPorts: Int?
  /// The network namespace's addresses.
  var ipv6 = IPv6.absent
  /// net.ipv4.ip_forward.
  var forwards: Bool?
  /// net.ipv4.conf.all.src_valid_mark.
  var looksUpMarkedSources = false
  /// Whether IP_TRANSPARENT can be set; an error in words where not.
  var transparent = Attempt.done
  /// net.netfilter.nf_conntrack_tcp_loose.
  var tcpLoose: Int?
  /// net.netfilter.nf_conntrack_max.
  var trackedFlows: Int?
  /// net.ipv4.ping_group_range, its bounds.
  var pingGroups: [UInt32] = []
  /// io_uring_setup(2).
  var ioUring = Attempt.done
  /// Families of sockets beside those of IP, Unix and routes.
  var families: [Family] = []

  /// Whether something worked.
  enum Attempt: Hashable, Sendable {
    case done
    /// With the kernel's reason.
    case refused(String)
    /// The kernel has no such thing.
    case absent
  }

  /// What was looked at, or why it was not.
  enum Looked<Value: Hashable & Sendable>: Hashable, Sendable {
    case found(Value)
    /// CAP_NET_ADMIN is missing, or is none over this network namespace.
    case notPermitted
    /// One sentence, with its remedy.
    case failed(String)
  }

  /// A part of nf_tables that tables of ours need.
  struct Part: Hashable, Sendable {
    var name: String
    var loss: String
    var modes: [RunMode]
    var isRequired: Bool
    /// Why it does not work; nil when it does.
    var error: String?
  }

  /// Whether this user can make namespaces, and what it may do in them.
  struct UserNamespaces: Hashable, Sendable {
    /// user.max_user_namespaces.
    var limit: Int?
    /// kernel.apparmor_restrict_unprivileged_userns; nil where there is none.
    var isRestrictedByAppArmor: Bool?
    /// kernel.unprivileged_userns_clone, of Debian's kernels; nil where there is none.
    var areOpenToAll: Bool?
    /// Making one.
    var made = Attempt.done
    /// Making namespaces of network, mounts, processes, IPC and host names within.
    var others = Attempt.done
    /// Parts of nf_tables, tried within.
    var parts = Looked<[Part]>.notPermitted
  }

  /// Where this process stands in the tree of control groups.
  enum ControlGroupFacts: Hashable, Sendable {
    case noHierarchy
    /// In the root group, as everything is that nobody placed.
    case root(mount: String)
    /// - Parameters:
    ///   - others: How many other processes are in it, as far as they can be seen.
    ///   - isDelegated: Whether this user can make groups beneath.
    ///   - isMatched: Whether a rule of nf_tables can name it; nil: not looked at.
    case group(path: String, others: Int, isDelegated: Bool, isMatched: Bool?)
  }

  enum IPv6: Hashable, Sendable {
    case absent
    /// Nothing beyond this machine and its links.
    case local
    case routed
  }

  /// A family of sockets.
  struct Family: Hashable, Sendable {
    var name: String
    /// What it leads to: a clause.
    var leads: String
    var opening: Attempt
  }
}
