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
    let failure = shards[0].loop.sync {
      [shard = shards[0], names, nameSettings] in
      shard.serve(names.bound, owners: names.owners, nameSettings)
    }
    if let failure {
      return .host("cannot watch a DNS listener: \(failure). Raise the limit of open files.")
    }
    for (place, pair) in names.bound { accept(pair.streams, at: place) }
    return nil
  }

  /// Takes over what a reload has bound, and closes what is not wanted any more.
  func adoptNames(_ fresh: [NamePlace: NameListenerSet.Pair], wanted: [NamePlace: AgentName]) {
    let gone = names.adopt(fresh, wanted: wanted)
    shards[0].loop.submit { [shard = shards[0]] in
      for place in gone { shard.names?.close(place) }
    }
  }

  /// Serves what a reload has bound, and gives every listener to whom it belongs now.
  func open(_ fresh: [NamePlace: NameListenerSet.Pair]) {
    let owners = names.owners, words = words
    shards[0].loop.submit { [shard = shards[0], nameSettings] in
      if let failure = shard.serve(fresh, owners: owners, nameSettings) {
        words.error("cannot watch a DNS listener: \(failure). Raise the limit of open files.")
      }
    }
    for (place, pair) in fresh { accept(pair.streams, at: place) }
  }

  private func accept(_ listener: Listener, at place: NamePlace) {
    let words = words
    listener.start(
      on: [shards[0].loop],
      accept: { [shard = shards[0]] channel in
        guard let names = shard.names else { return channel.close() }
        names.accept(channel, at: place)
      },
      notice: { words.warning("\(place): \($0)") })
  }
}

extension Shard {
  /// Serves bound sockets. Returns what the kernel says against it.
  fileprivate func serve(
    _ pairs: [NamePlace: NameListenerSet.Pair], owners: [NamePlace: AgentName], _ settings: NameSettings
  ) -> Errno? {
    if names == nil, !pairs.isEmpty { names = NameDesk(NameService(shard: self, settings: settings)) }
    for (place, owner) in owners { names?.assign(place, to: owner) }
    for (place, pair) in pairs {
      do throws(Errno) { try names?.open(pair.datagrams, at: place, of: owners[place] ?? .default) } catch {
        return error
      }
    }
    return nil
  }
}
