import Glibc

extension ConfinementProfile {
  /// What the process that keeps CAP_NET_ADMIN may do: speak to netfilter and to its parent.
  ///
  /// It opens its sockets before; no file and no port are within its reach.
  ///
  /// - Parameter identity: Whom it becomes; the capability is kept over the change.
  public static func keeper(identity: Identity? = nil) -> ConfinementProfile {
    var nothing = LandlockRuleset()
    nothing.deniesTCP = true
    return ConfinementProfile(
      role: "keeper", identity: identity, capabilities: .netAdmin, landlock: nothing, filter: .keeper())
  }
}

extension SeccompFilter {
  /// The keeper's system calls.
  static func keeper(pid: Int32 = getpid()) -> SeccompFilter {
    var filter = SeccompFilter()
    filter.allowMemoryAndEnd(pid: pid)
    filter.allow(
      .read, .write, .close, .fcntl, .sendto, .recvfrom, .sendmsg, .recvmsg, .poll, .ppoll, .bind,
      .getsockname, .setsockopt, .getsockopt, .nanosleep, .clockNanosleep)
    filter.allow(
      .socket, when: .word(0, is: AF_NETLINK), kind(Int32(SOCK_RAW.rawValue)), .word(2, is: netfilter)
    )
    return filter
  }
}

/// linux/netlink.h.
private let netfilter: Int32 = 12
