import Addressing
import Audit
import Control
import Dispatch
import EventLoop
import Glibc
import Logging
import Pages
import Policy
import PolicyFile
import TLSClient

/// What is known before anything is bound, written or announced.
struct StartParts {
  var configuration: GateConfiguration
  var loaded: LoadedPolicy
  /// What people answered for good.
  let standing: Policy
  var routes: UpstreamRoutes
  var secure: TLSSettings?
  let descriptors: DescriptorBudget
  /// Where names get their addresses; nil: from the upstreams.
  let pool: SyntheticPool?
  let resolver: ResolverConfiguration
  /// How names are answered.
  let names: NameSettings

  /// Reads the policy and the resolvers; touches nothing.
  init(_ configuration: GateConfiguration) throws(StartError) {
    self.configuration = configuration
    do throws(PolicyFileError) {
      if let first = configuration.firstPolicy {
        loaded = first
      } else {
        loaded = try configuration.loadPolicy(generation: 1)
      }
      standing = try configuration.loadOverlay()
    } catch { throw .policy(error) }
    if let kept = configuration.stopFile?.read(of: configuration.identity(of: loaded.policy)) {
      loaded.policy.stop = kept.order
      if let note = kept.note { self.configuration.startNotes.append(note) }
    }
    routes = UpstreamRoutes(standard: try configuration.resolvers(), forwards: configuration.forwards)
    secure = try configuration.tlsSettings(for: routes)
    // The name service looks names up as one more loop does.
    let agents = configuration.listeningAgents(of: loaded.policy)
    let listening = NameListenerSet.wanted(configuration, agents: agents)
    descriptors = DescriptorBudget(
      limit: Int(clamping: raiseDescriptorLimit().soft),
      loops: configuration.loopCount + (listening.isEmpty ? 0 : 1),
      listeners: ListenerSet.wanted(configuration, agents: agents).count
        + 2 * listening.count + configuration.captures.count + (configuration.metricsListener == nil ? 0 : 1)
        + (configuration.callbackListener == nil ? 0 : 1),
      resolvers: routes.all.count { $0.transport != .plain })
    pool = configuration.dnsAnswers == .synthetic ? SyntheticPool() : nil
    resolver = Self.resolver(routes, secure, descriptors)
    names = NameSettings(
      resolver: resolver, rate: configuration.dnsRate, suffixes: SearchSuffixes.load(), pool: pool,
      fence: configuration.fence, fencedAgents: configuration.fencedAgents)
  }

  private static func resolver(
    _ routes: UpstreamRoutes, _ secure: TLSSettings?, _ descriptors: DescriptorBudget
  ) -> ResolverConfiguration {
    let addresses = localAddresses()
    return ResolverConfiguration(
      routes: routes, hosts: HostsFile.load(),
      ipv6: addresses.contains { !$0.isV4 && ($0.addressClass == .global || $0.addressClass == .privateUse) },
      hostsPath: "/etc/hosts", secure: secure,
      lookupsInFlight: descriptors.lookupsPerLoop)
  }

  var loopCount: Int { configuration.loopCount }

  /// Where Unix listeners are made, and taken away at the end.
  var listenerDirectories: [String] {
    let wanted =
      ListenerSet.wanted(flags: configuration.proxyListeners, agents: loaded.policy.agents)
      + [configuration.metricsListener, configuration.callbackListener].compactMap(\.self)
    let directories = wanted.compactMap { address -> String? in
      guard case .unix(let path) = address else { return nil }
      guard let slash = path.lastIndex(of: "/") else { return "." }
      return String(path[...slash])
    }
    return Set(directories).sorted()
  }

  func floor(_ listeners: [Endpoint]) -> Floor {
    var floor = Floor(
      localAddresses: localAddresses(), listeners: listeners, resolvers: routes.endpoints)
    floor.synthetic = pool?.prefixes ?? []
    return floor
  }
}

extension GateConfiguration {
  fileprivate var loopCount: Int { max(1, loops ?? sysconf(Int32(_SC_NPROCESSORS_ONLN))) }

  /// The agents that have listeners of their own: in another network none but those that were handed over.
  func listeningAgents(of policy: Policy) -> [Agent] { handedSockets == nil ? policy.agents : [] }

  /// What reads policies for this gate.
  var loader: PolicyLoader {
    PolicyLoader(
      runMode: runMode, environment: environment, workingDirectory: workingDirectory, now: .now(),
      hasDNSListener: !dnsListeners.isEmpty || !nameCaptures.isEmpty, distrusting: distrusted)
  }

  /// Reads the policy file as generation `generation`; whom `stop` stops is stopped under it.
  public func loadPolicy(
    generation: UInt64, under stop: StopOrder = StopOrder()
  ) throws(PolicyFileError) -> LoadedPolicy {
    var loaded =
      if let policyText { try loader.load(text: policyText, named: policyPath) } else {
        try loader.load(path: policyPath)
      }
    (loaded.policy.generation, loaded.policy.stop) = (generation, stop)
    // Who says so at the start means as long as this gate runs.
    if let mode { (loaded.policy.mode, loaded.policy.auditUntil) = (mode, nil) }
    return loaded
  }

  fileprivate func resolvers() throws(StartError) -> [Upstream] {
    if let upstreams { return upstreams }
    do { return try ResolverSettings.load().map { Upstream($0) } } catch {
      throw .configuration("\(error) Name a resolver with --dns-upstream ADDRESS.")
    }
  }
}

extension GateConfiguration {
  /// Whose certificates are believed; nil where nobody is asked over TLS. Read once, at the start.
  fileprivate func tlsSettings(for routes: UpstreamRoutes) throws(StartError) -> TLSSettings? {
    guard routes.all.contains(where: { $0.transport != .plain }) else {
      guard upstreamAuthorities == nil else {
        throw .configuration(
          "--dns-upstream-ca is for resolvers asked over TLS, and there is none. Write one as tls://ADDRESS#NAME."
        )
      }
      return nil
    }
    do { return try TLSSettings(authorities: upstreamAuthorities) } catch {
      if case .noLibrary = error { throw .host("\(error)") }
      throw .configuration("\(error) The option is --dns-upstream-ca.")
    }
  }
}

extension Gate {
  /// Starts a gate: reads, binds, opens the log, and only then accepts.
  ///
  /// - Throws: `StartError`; nothing is left bound then.
  public static func start(_ configuration: GateConfiguration, words: Logger) throws(StartError) -> Gate {
    if let handed = configuration.handedSockets {
      guard let bound = BoundListeners(configuration, adopting: handed) else {
        throw .host("what was handed over is not what is to be listened on. Start it anew.")
      }
      return try start(configuration, words: words) { _, _ throws(ListenError) in bound }
    }
    return try start(configuration, words: words) { agents, early throws(ListenError) in
      try early.completed(configuration, agents: agents)
    }
  }

  /// The same with listeners that `bind` binds, maybe in another network namespace.
  static func start(
    _ configuration: GateConfiguration, words: Logger,
    binding bind: (_ agents: [Agent], _ early: BoundListeners) throws(ListenError) -> BoundListeners
  ) throws(StartError) -> Gate {
    let parts = try StartParts(configuration)
    for warning in parts.loaded.warnings { words.warning("\(warning)") }
    for warning in configuration.gatewayWarnings(parts.loaded.policy) { words.warning("\(warning)") }
    var bound: BoundListeners
    do { bound = try BoundListeners.privileged(configuration) } catch { throw .configuration("\(error)") }
    do throws(StartError) {
      // Made as long as it can be given to whoever may replace the file: a confined gate gives nothing away.
      if parts.loaded.policy.asks { _ = try? OverlayLock(of: configuration.overlay) }
      for gap in try configuration.confine?(parts.listenerDirectories) ?? [] { words.warning("\(gap)") }
      // Before anybody is listened to: what is captured from now on meets a gate, or nothing.
      let marks = try parts.installFence()
      do {
        bound = try bind(parts.loaded.policy.agents, bound)
        bound = try bound.withCallbacks(configuration, Gate.callbackTerms)
      } catch { throw .configuration("\(error)") }
      let gate = try assemble(parts, bound, marks, words: words)
      if let failure = gate.queue.sync(execute: { gate.openAll() }) { throw failure }
      configuration.onStart?(gate)
      return gate
    } catch {
      bound.closeAll()
      throw error
    }
  }

  /// Opens the log and the control socket, and records the start.
  private static func assemble(
    _ parts: StartParts, _ bound: BoundListeners, _ marks: RuleMarks, words: Logger
  ) throws(StartError) -> Gate {
    let configuration = parts.configuration
    let control: ControlSocket
    do { control = try ControlSocket.bind(path: configuration.controlPath) } catch {
      throw .configuration("\(error)")
    }
    do throws(StartError) {
      let gate = try Gate(
        parts, bound, marks, log: openLog(configuration), words: words)
      gate.controlSocket = control
      guard gate.recordStart(parts.loaded) else {
        gate.log.close()
        throw .configuration(
          "the audit log \(configuration.auditLogPath) cannot be written. Make room for it.")
      }
      return gate
    } catch {
      control.close()
      throw error
    }
  }

  private static func openLog(_ configuration: GateConfiguration) throws(StartError) -> AuditLog {
    do { return try AuditLog.open(configuration.auditOptions) } catch {
      throw .configuration("the audit log \(configuration.auditLogPath) cannot be opened: \(error)")
    }
  }

  private func recordStart(_ loaded: LoadedPolicy) -> Bool {
    for warning in [configuration.auditOptions.warning, controlSocket?.warning].compactMap(\.self) {
      words.warning("\(warning)")
      log.append(.lifecycle(LifecycleRecord(time: .now(), event: .notice, detail: warning)))
    }
    if loaded.policy.stop.isGiven { alarm(loaded.policy.stop.words) }
    for note in configuration.startNotes {
      log.append(.lifecycle(LifecycleRecord(time: .now(), event: .notice, detail: note)))
    }
    log.append(policyRecord(.loaded, loaded))
    return log.commit()
  }

  /// Serves everything that is bound. Returns why it cannot.
  private func openAll() -> StartError? {
    if let failure = openNames() { return failure }
    for (address, listener) in listeners.bound { open(listener, at: address) }
    openCaptures()
    startFence()
    startMetrics()
    recordUnanswered()
    approvals.replaceStanding(told(of: approvals.standing))
    openDoor(to: snapshot.policy.reviewers)
    controlSocket?.start(
      on: shards[0].loop, admits: { [door] in door.role(of: $0) != nil },
      handler: { [unowned self] in answer($0, from: $1, reply: $2) },
      notice: { [unowned self] in note($0, from: $1) })
    startTicking()
    return nil
  }
}

extension GateConfiguration {
  fileprivate var auditOptions: AuditOptions {
    var options = AuditOptions(path: auditLogPath)
    options.onRecovered = onPrepared
    if let rotateAt { options.rotateAt = rotateAt }
    options.keep = keepSegments
    options.onDenial = onDenial
    return options
  }
}
