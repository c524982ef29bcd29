import CLinux
import Confinement
import Glibc
import SystemPackage

/// The process that makes the namespaces: a child of the gate, outside the
/// process namespace that it makes. It owns the table inside and waits for the
/// first process there.
struct SandboxSetup {
  private let plan: SandboxPlan
  private let channel: MessageChannel

  init(_ plan: SandboxPlan, _ channel: MessageChannel) {
    (self.plan, self.channel) = (plan, channel)
  }

  /// - Parameter open: Opens what the gate gets, in the new network; gets whether it has IPv6.
  /// - Returns: The exit status, which nobody looks at.
  func run(_ open: (Bool) throws -> SandboxOpening) -> Int32 {
    do throws(SandboxError) {
      if let gap = LandlockRuleset.commandGaps(abi: Landlock.abi).first, !plan.weaker.contains(.landlock) {
        throw SandboxError(.landlock, gap)
      }
      // While the host's tree of groups is seen.
      var group: ControlGroup?
      let ungrouped = try unlessAgreed { () throws(SandboxError) in group = try makeGroup() }
      defer { group?.remove() }
      try makeNamespaces()
      let hasIPv6 = try LoopbackNetwork.configure()
      let opening: SandboxOpening
      do { opening = try open(hasIPv6) } catch {
        throw SandboxError(.table, "cannot capture traffic: \(error)")
      }
      let first = linux_fork()
      guard first >= 0 else { throw SandboxError(.namespaces, "cannot start a process: \(lastErrno())") }
      if first == 0 {
        withExtendedLifetime(opening) {
          _exit(runFirst(opening.descriptors, hasIPv6, in: group, ungrouped))
        }
      }
      // Whoever has something to clear away outlives the gate: the first process ends with it, and then this one.
      if group != nil { _ = linux_prctl(PR_SET_PDEATHSIG, 0, 0, 0, 0) }
      return withExtendedLifetime(opening) { wait(for: first) }
    } catch {
      try? channel.send(SandboxMessage.refused(error).bytes)
      return 1
    }
  }

  /// - Returns: nil where nothing was delegated, or nothing has to be held.
  private func makeGroup() throws(SandboxError) -> ControlGroup? {
    guard let place = plan.group, plan.limits.processes != nil || plan.limits.memory != nil else {
      return nil
    }
    return try ControlGroup(plan.limits, in: place)
  }

  /// - Returns: Why it failed, where a person agreed to do without limits.
  private func unlessAgreed(_ step: () throws(SandboxError) -> Void) throws(SandboxError) -> String? {
    do {
      try step()
      return nil
    } catch {
      guard plan.weaker.contains(.limits) else { throw error }
      return error.cause
    }
  }

  private func makeNamespaces() throws(SandboxError) {
    try attempt(.userNamespace, "make a user namespace") { linux_unshare(Int32(LINUX_NEW_USER)) }
    do {
      try channel.send(SandboxMessage.unshared.bytes)
      guard case .message(let bytes, _) = try channel.receive(), SandboxMessage(bytes) == .mapped else {
        throw MessageChannel.Problem.ended
      }
    } catch { throw SandboxError(.userNamespace, "cannot get user ids: \(error)") }
    try attempt(.namespaces, "make namespaces within the user namespace") {
      linux_unshare(Int32(LINUX_NEW_OTHERS) | Int32(LINUX_NEW_CGROUP))
    }
    // A name of the host says where this is; the sandbox has none of its own.
    _ = sethostname("sandbox", 7)
  }

  private func wait(for child: pid_t) -> Int32 {
    // Whoever reads what the command writes waits for the command alone, and the gate for what is inside.
    for descriptor in [STDIN_FILENO, STDOUT_FILENO, channel.descriptor] { close(descriptor) }
    var status: Int32 = 0
    while waitpid(child, &status, 0) < 0, errno == EINTR {}
    return status == 0 ? 0 : 1
  }

  private func runFirst(
    _ descriptors: [Int32], _ hasIPv6: Bool, in group: ControlGroup?, _ ungrouped: String?
  ) -> Int32 {
    var ungrouped = ungrouped
    do throws(SandboxError) {
      if let group { ungrouped = try unlessAgreed(group.enter) }
    } catch {
      try? channel.send(SandboxMessage.refused(error).bytes)
      return 1
    }
    _ = linux_prctl(PR_SET_PDEATHSIG, UInt(SIGKILL), 0, 0, 0)
    _ = linux_prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
    return FirstProcess(plan, channel).run(passing: descriptors, hasIPv6: hasIPv6, ungrouped: ungrouped)
  }
}

func lastErrno() -> Errno { Errno(rawValue: errno) }
