import Addressing
import Dispatch
import EventLoop
import Logging
import Policy
import SystemPackage

/// The DNS listeners of a gate: bound on its queue, served on its first loop.
extension Gate {
  /// Serves every listener that is bound.
  ///
  /// - Returns: Why it cannot.
  func openNames() -> StartError? {
    guard !names.bound.isEmpty else { return nil }
    let failure = shards[0].loop.queue.sync {
      [shard = shards[0], names, nameSettings] in
      shard.serve(names.bound, owners: names.owners, nameSettings)
    }
    if let failure {
      return .host("cannot watch a DNS listener: \(failure). Raise the limit of open files.")
    }
    for (endpoint, pair) in names.bound { accept(pair.streams, at: endpoint) }
    return nil
  }

  /// Binds the listeners the new policy adds, then closes those it drops.
  ///
  /// - Returns: What was bound and is not served yet.
  func rebindNames(for policy: Policy) throws(ListenError) -> [Endpoint: NameListenerSet.Pair] {
    let wanted = NameListenerSet.wanted(flags: configuration.dnsListeners, agents: policy.agents)
    let fresh = try names.bindMissing(of: wanted)
    let gone = names.adopt(fresh, wanted: wanted)
    shards[0].loop.submit { [shard = shards[0]] in
      for endpoint in gone { shard.names?.close(endpoint) }
    }
    return fresh
  }

  /// Serves what a reload has bound, and gives every listener to whom it belongs now.
  func open(_ fresh: [Endpoint: NameListenerSet.Pair]) {
    let owners = names.owners, words = words
    shards[0].loop.submit { [shard = shards[0], nameSettings] in
      if let failure = shard.serve(fresh, owners: owners, nameSettings) {
        words.error("cannot watch a DNS listener: \(failure). Raise the limit of open files.")
      }
    }
    for (endpoint, pair) in fresh { accept(pair.streams, at: endpoint) }
  }

  private func accept(_ listener: Listener, at endpoint: Endpoint) {
    let words = words
    listener.start(
      on: [shards[0].loop],
      accept: { [shard = shards[0]] channel in
        guard let names = shard.names else { return channel.close() }
        names.accept(channel, at: endpoint)
      },
      notice: { words.warning("\(endpoint): \($0)") })
  }
}

extension Shard {
  /// Serves bound sockets. Returns what the kernel says against it.
  fileprivate func serve(
    _ pairs: [Endpoint: NameListenerSet.Pair], owners: [Endpoint: AgentName], _ settings: NameSettings
  ) -> Errno? {
    if names == nil, !pairs.isEmpty { names = NameDesk(NameService(shard: self, settings: settings)) }
    for (endpoint, owner) in owners { names?.assign(endpoint, to: owner) }
    for (endpoint, pair) in pairs {
      do throws(Errno) { try names?.open(pair.datagrams, of: owners[endpoint] ?? .default) } catch {
        return error
      }
    }
    return nil
  }
}
