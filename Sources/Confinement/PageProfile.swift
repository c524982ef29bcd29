import Glibc

extension ConfinementProfile {
  /// What the process of the review page may do: read files, write in some directories, answer on the one listener it
  /// has, and speak to a gate by its socket.
  ///
  /// It works under the rights of whoever runs it; of root's it keeps those that concern files.
  ///
  /// - Parameter writable: Directories in which files are made, changed and
  ///   removed: that of the index, and that of the overlay.
  public static func page(writable: [String]) -> ConfinementProfile {
    var files = LandlockRuleset()
    files.allow(.read, beneath: "/")
    for path in writable { files.allow([.read, .write], beneath: path) }
    files.deniesTCP = true
    return ConfinementProfile(
      role: "page", capabilities: [.chown, .dacOverride, .dacReadSearch, .fowner], landlock: files,
      filter: .page())
  }
}

extension SeccompFilter {
  /// The page's system calls: the gate's, but for listening and for sockets that are neither Unix streams nor what
  /// getifaddrs(3) asks for addresses, and with fchown(2) for the overlay.
  static func page(pid: Int32 = getpid()) -> SeccompFilter {
    var filter = SeccompFilter()
    filter.allowMemoryAndEnd(pid: pid)
    filter.allowThreads()
    filter.allow(gateDescriptors + gateFiles + gateWaiting + gateKnowledge)
    filter.allow(
      .bind, .connect, .accept, .accept4, .getsockname, .getpeername, .getsockopt, .setsockopt, .sendto,
      .recvfrom,
      .sendmsg,
      .recvmsg, .shutdown, .fchown)
    filter.allow(
      .socket, when: .word(0, is: AF_UNIX), kind(Int32(SOCK_STREAM.rawValue)), .word(2, is: 0))
    filter.allowAddressQuestions()
    filter.allowTerminal()
    return filter
  }
}
