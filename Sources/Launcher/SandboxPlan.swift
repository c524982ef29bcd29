/// What a sandbox is made of.
public struct SandboxPlan: Hashable, Sendable {
  /// Which files there are.
  public var view: FileView
  /// What is started.
  public var command: CommandPlan
  /// What a person agreed to do without where the host lacks it.
  public var weaker: Set<SandboxPart>

  /// Which of the three streams are the sandbox's own terminal instead of the host's.
  public var terminal: Set<Int32> = []

  /// What its processes may have.
  public var limits = ProcessLimits()

  /// Where a control group is made that holds all of them together to it; nil: each is held by itself alone.
  public var group: ControlGroupPlace?

  /// Makes a plan.
  public init(view: FileView, command: CommandPlan, weaker: Set<SandboxPart> = []) {
    (self.view, self.command, self.weaker) = (view, command, weaker)
  }
}

/// What the processes of a sandbox may have at most; nil: what the host lets them.
public struct ProcessLimits: Hashable, Sendable {
  /// How many of them there may be, threads counted.
  public var processes: Int?
  /// What each may have of memory of its own, in bytes.
  public var memory: UInt64?
  /// How long the command may run.
  public var time: Duration?

  /// Makes limits.
  public init(processes: Int? = nil, memory: UInt64? = nil, time: Duration? = nil) {
    (self.processes, self.memory, self.time) = (processes, memory, time)
  }
}

/// What holds a command to a limit.
public enum LimitMeans: String, Hashable, Sendable {
  /// setrlimit(2), process by process.
  case rlimit
  /// A control group, all of the command's together.
  case cgroup
  /// Whoever waits for the command looks at the clock.
  case clock

  /// What there is for the number of processes; the kernel counts none of root's (getrlimit(2), RLIMIT_NPROC), in
  /// whatever namespace.
  public static func ofProcesses(user: UInt32, _ group: ControlGroupPlace?) -> [LimitMeans] {
    (user == 0 ? [] : [.rlimit]) + (group?.controllers.contains(.processes) == true ? [.cgroup] : [])
  }

  /// What there is for memory.
  public static func ofMemory(_ group: ControlGroupPlace?) -> [LimitMeans] {
    [.rlimit] + (group?.controllers.contains(.memory) == true ? [.cgroup] : [])
  }
}

/// What was opened in a sandbox's network for the gate outside.
public struct SandboxOpening {
  /// Sockets, which are passed out in this order.
  public var descriptors: [Int32]
  /// What has to stay open inside as long as the sandbox is there.
  public var kept: [AnyObject]

  /// Makes an opening.
  public init(descriptors: [Int32], kept: [AnyObject]) {
    (self.descriptors, self.kept) = (descriptors, kept)
  }
}
