/// What a sandbox is made of.
public struct SandboxPlan: Hashable, Sendable {
  /// Which files there are.
  public var view: FileView
  /// What is started.
  public var command: CommandPlan
  /// What a person agreed to do without where the host lacks it.
  public var weaker: Set<SandboxPart>

  /// Makes a plan.
  public init(view: FileView, command: CommandPlan, weaker: Set<SandboxPart> = []) {
    (self.view, self.command, self.weaker) = (view, command, weaker)
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
