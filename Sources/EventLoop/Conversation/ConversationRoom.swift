import Dispatch

/// The open conversations of one listener, by number, so that an answer made on
/// any thread finds its connection on the loop, or finds it gone.
///
/// `@unchecked Sendable`: the table is touched on `loop` alone, which every
/// entry point checks.
public final class ConversationRoom: @unchecked Sendable {
  /// How many peers there may be, and how long each may take.
  public struct Limits: Hashable, Sendable {
    /// Connections open at once.
    public var connections: Int
    /// A peer that sends no whole request, or takes nothing of what waits for it, for this long is closed.
    public var idle: Duration
    /// What an answer may take; a stream, once begun, may last.
    public var patience: Duration
    /// Whether, where there is no room, the oldest peer that has not asked anything yet makes it: else
    /// connections that say nothing keep out those that would.
    public var silentMakeRoom: Bool

    /// Makes limits.
    public init(
      connections: Int, idle: Duration = .seconds(10), patience: Duration, silentMakeRoom: Bool = false
    ) {
      self.connections = connections
      self.idle = idle
      self.patience = patience
      self.silentMakeRoom = silentMakeRoom
    }
  }

  let loop: EventLoop
  let limits: Limits
  private var conversations: [UInt64: Conversation] = [:]
  private var opened: UInt64 = 0

  /// Makes an empty room.
  public init(on loop: EventLoop, _ limits: Limits) {
    self.loop = loop
    self.limits = limits
  }

  /// Speaks on a connection that was just accepted, until either side closes it.
  ///
  /// - Parameter whenFull: Called where there is no room, before the connection is closed for that.
  public func admit(_ channel: Channel, _ dialogue: any Dialogue, whenFull: () -> Void = {}) {
    dispatchPrecondition(condition: .onQueue(loop.queue))
    if conversations.count >= limits.connections, limits.silentMakeRoom { turnAwaySilent() }
    guard conversations.count < limits.connections else {
      whenFull()
      return channel.close()
    }
    opened += 1
    let conversation = Conversation(channel, number: opened, in: self, dialogue)
    conversations[opened] = conversation
    conversation.open()
  }

  private func turnAwaySilent() {
    conversations.filter { $0.value.isSilent }.min { $0.key < $1.key }?.value.finish()
  }

  /// Runs `work` with a connection on the loop, or `otherwise` when it is gone.
  func reach(
    _ number: UInt64, orElse otherwise: @escaping @Sendable () -> Void = {},
    _ work: @escaping @Sendable (Conversation) -> Void
  ) {
    loop.submit { [self] in
      dispatchPrecondition(condition: .onQueue(loop.queue))
      if let conversation = conversations[number] { work(conversation) } else { otherwise() }
    }
  }

  func forget(_ number: UInt64) {
    dispatchPrecondition(condition: .onQueue(loop.queue))
    conversations[number] = nil
  }
}
