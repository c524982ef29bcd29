import CLinux
import Glibc
import SystemPackage

/// What a process keeps; everything else it gives up.
public struct ConfinementProfile: Hashable, Sendable {
  /// What the process is: `gate`, `keeper`.
  public var role: String
  /// Whom it becomes; nil: it stays who it is.
  public var identity: Identity?
  /// The capabilities it keeps of those it has.
  public var capabilities: Capabilities
  /// Files and ports; nil: not limited by Landlock.
  public var landlock: LandlockRuleset?
  /// System calls; nil: not filtered.
  public var filter: SeccompFilter?
  /// Whether others of its user may read its memory and take its descriptors
  /// (ptrace(2), pidfd_getfd(2), core dumps).
  public var isDumpable = false

  /// Makes a profile.
  public init(
    role: String, identity: Identity? = nil, capabilities: Capabilities = [],
    landlock: LandlockRuleset? = nil, filter: SeccompFilter? = nil
  ) {
    (self.role, self.identity, self.capabilities) = (role, identity, capabilities)
    (self.landlock, self.filter) = (landlock, filter)
  }
}

/// What was put in force.
public struct ConfinementOutcome: Hashable, Sendable {
  public var role: String
  /// What is kept of the capabilities.
  public var capabilities: Capabilities
  /// nil when the profile limits no files.
  public var landlock: LandlockOutcome?
  /// Whether system calls are filtered.
  public var isFiltered: Bool
  /// What the kernel could not do and a person should know; empty when all of
  /// the profile is in force.
  public var warnings: [String]
}

/// Giving up what is not needed, before the first byte of the network is read.
public enum Confinement {
  /// Confines this process for good: user, capabilities, no_new_privs, Landlock, seccomp, in this order.
  ///
  /// Landlock, no_new_privs and capabilities bind one thread and what it
  /// starts, so this must come before the first queue or thread.
  ///
  /// - Returns: What is in force. A kernel without Landlock or seccomp is told
  ///   by a warning, not an error: whether that is enough is the caller's to say.
  /// - Throws: When other threads run, or the kernel refuses a step it knows.
  public static func apply(_ profile: ConfinementProfile) throws(ConfinementError) -> ConfinementOutcome {
    let threads = ThreadCount.threads(of: getpid()).count
    // Where there is no /proc to count in, the kernel says whether there is another: unshare(2), CLONE_THREAD.
    guard threads == 1 || threads == 0 && linux_unshare(0x10000) == 0 else { throw .hasThreads(threads) }
    // Paths are opened while there are rights to open them.
    let landlock = try (profile.landlock ?? LandlockRuleset()).prepare(
      abi: profile.landlock == nil ? nil : Landlock.abi)
    let kept = try dropIdentityAndCapabilities(profile)
    try step("set no_new_privs") { linux_prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) }
    try landlock.restrictThisThread()
    if !profile.isDumpable {
      try step("close the process to debuggers") { linux_prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) }
    }
    let outcome = profile.landlock.map { _ in landlock.outcome }
    var warnings = outcome?.gaps ?? []
    let isFiltered = try install(profile.filter, &warnings)
    return ConfinementOutcome(
      role: profile.role, capabilities: kept, landlock: outcome, isFiltered: isFiltered, warnings: warnings)
  }

  /// A change of user takes the wish to die with the parent away (prctl(2)); it is made anew.
  private static func dropIdentityAndCapabilities(
    _ profile: ConfinementProfile
  ) throws(ConfinementError) -> Capabilities {
    var parentDeath: Int32 = 0
    withUnsafeMutablePointer(to: &parentDeath) {
      _ = linux_prctl(PR_GET_PDEATHSIG, UInt(bitPattern: $0), 0, 0, 0)
    }
    try profile.capabilities.limitBounding()
    if let identity = profile.identity {
      try identity.become(keepingCapabilities: !profile.capabilities.isEmpty)
    }
    let kept = try profile.capabilities.applyToThisThread()
    if parentDeath != 0 {
      try step("die with the parent") { linux_prctl(PR_SET_PDEATHSIG, UInt(parentDeath), 0, 0, 0) }
    }
    return kept
  }

  private static func install(
    _ filter: SeccompFilter?, _ warnings: inout [String]
  ) throws(ConfinementError) -> Bool {
    guard let filter else { return false }
    guard SeccompFilter.isAvailable else {
      warnings.append("system calls are not filtered: the kernel has no seccomp filters")
      return false
    }
    try filter.install(everyThread: false)
    return true
  }
}
