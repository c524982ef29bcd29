import Addressing
import Audit
import Control
import EventLoop
import Pages
import Policy
import PolicyFile

extension Gate {
  /// Answers from now on. Where the agent is in the gate's own network, nobody who is there is answered.
  func startMetrics() {
    metrics?.start(on: shards[0].loop, admits: admitsToPages) { [unowned self] in answer($0, with: $1) }
  }

  /// Whether who comes from an address may ask for a page of the gate's own.
  var admitsToPages: @Sendable (IPAddress?) -> Bool {
    let isShared = configuration.runMode == .sidecar
    return { address in
      guard isShared, let address else { return true }
      // There is always one, unless nobody could say.
      let own = localAddresses()
      return address.addressClass != .loopback && !own.isEmpty && !own.contains(address)
    }
  }

  /// Answers whoever monitors the gate: `/metrics`, and `/healthz`, which is 200 while denials bite and
  /// what is allowed can be recorded.
  func answer(_ request: PageRequest, with answer: PageReply) {
    guard request.method == "GET" || request.method == "HEAD" else {
      var refusal = PageAnswer.text(405, "only GET and HEAD are answered")
      refusal.fields = [("Allow", "GET, HEAD")]
      return answer(refusal)
    }
    switch request.path {
    case "/metrics": status { [self] in measure(under: $0, with: answer) }
    case "/healthz":
      status { status in
        let trouble = status.warning ?? (status.audit.available ? nil : "the audit log cannot be written")
        answer(.text(trouble == nil ? 200 : 503, trouble ?? "ok"))
      }
    default: answer(.text(404, "there are /metrics and /healthz"))
    }
  }

  private func measure(under status: GateStatus, with answer: PageReply) {
    gatherReports { [self] reports in
      let counters = reports.reduce(into: ShardCounters()) { $0.add($1.counters) }
      let text = metricsText(status, counters, log.statistics, webhook: configuration.webhookCounters?.counts)
      answer(PageAnswer(type: Exposition.type, body: Array(text.utf8)))
    }
  }
}

/// All that a gate measures.
func metricsText(
  _ status: GateStatus, _ counters: ShardCounters, _ log: AuditStatistics,
  webhook: WebhookCounters.Counts? = nil
) -> String {
  var page = Exposition()
  page.addGate(status)
  page.addDecisions(counters)
  page.addAsking(status.asking)
  if let webhook { page.addWebhook(webhook) }
  page.addConnections(status.connections, counters)
  page.addResolver(status.resolver)
  if let dns = status.dns { page.addNames(dns) }
  page.addAudit(log, counters)
  if let fence = status.fence { page.addFence(fence) }
  return page.text
}

extension Exposition {
  fileprivate mutating func addGate(_ status: GateStatus) {
    add("build_info", .gauge, "The version that runs.", [Sample(1, ("version", status.version))])
    add("uptime_seconds", .gauge, "Time since the start.", [Sample(status.uptime / .seconds(1))])
    let policy = status.policy
    add(
      "policy_enforcing", .gauge, "Whether the policy's mode is enforce: 0 in audit mode.",
      policy.mode == .enforce ? 1 : 0)
    add("stopped", .gauge, "Whether any agent is stopped by order.", status.stop.isGiven ? 1 : 0)
    add("policy_generation", .gauge, "How many policies have been in force.", policy.generation)
    add("policy_rules", .gauge, "Rules of the policy in force.", policy.rules)
    add(
      "policy_loaded_timestamp_seconds", .gauge, "When it came into force.",
      [Sample(Double(policy.loadedAt.milliseconds) / 1000)])
    add(
      "policy_last_reload_successful", .gauge, "Whether the last reload was not refused.",
      policy.lastError == nil ? 1 : 0)
  }

  fileprivate mutating func addDecisions(_ counters: ShardCounters) {
    let rows = counters.decisions.sorted {
      ($0.key.verdict.rawValue, $0.key.reason.rawValue, $0.key.layer.rawValue)
        < ($1.key.verdict.rawValue, $1.key.reason.rawValue, $1.key.layer.rawValue)
    }
    add(
      "decisions_total", .counter,
      "Decisions by what happened, why and where; those of the kernel have their own.",
      rows.map { key, count in
        Sample(
          count, ("verdict", key.verdict.rawValue), ("reason", key.reason.rawValue),
          ("layer", key.layer.rawValue))
      })
  }

  fileprivate mutating func addAsking(_ asking: AskingStatus) {
    add("pending", .gauge, "Questions that wait for a person.", asking.pending)
    add("approval_channels", .gauge, "Ways by which a person can be asked now.", asking.channels)
    add(
      "answers_total", .counter, "Answers of people.",
      [Sample(asking.allowed, ("answer", "allow")), Sample(asking.refused, ("answer", "refuse"))])
  }

  fileprivate mutating func addWebhook(_ webhook: WebhookCounters.Counts) {
    add("webhook_up", .gauge, "Whether people can be asked by the webhook.", webhook.isAttached ? 1 : 0)
    add(
      "webhook_deliveries_total", .counter, "Messages that were sent, by what came of it.",
      [
        Sample(webhook.delivered, ("result", "taken")), Sample(webhook.failed, ("result", "failed")),
        Sample(webhook.dropped, ("result", "dropped")),
      ])
    add(
      "webhook_callbacks_total", .counter, "Answers that came back, by what came of it.",
      [
        Sample(webhook.answered, ("result", "counted")), Sample(webhook.refused, ("result", "refused")),
        Sample(webhook.unproved, ("result", "unproved")),
      ])
  }

  fileprivate mutating func addConnections(_ connections: ConnectionStatus, _ counters: ShardCounters) {
    add("connections_open", .gauge, "Connections of agents now.", connections.open)
    add("connections_accepted_total", .counter, "Connections of agents.", connections.accepted)
    add("connections_relayed_total", .counter, "Relayed connections that have ended.", connections.finished)
    add(
      "relay_bytes_total", .counter, "Bytes of relayed connections that have ended.",
      [
        Sample(connections.bytesOut, ("direction", "out")), Sample(connections.bytesIn, ("direction", "in")),
      ])
    add(
      "connect_duration_seconds", "From a request that was read to its upstream that stands.",
      counters.connecting)
    add("connection_duration_seconds", "How long relayed connections lasted.", counters.lasting)
  }

  fileprivate mutating func addResolver(_ resolver: ResolverStatus) {
    add("resolver_lookups_total", .counter, "Names asked for by connections.", resolver.lookups)
    add("resolver_cache_hits_total", .counter, "Of these, answered from memory.", resolver.cached)
    add("resolver_queries_total", .counter, "Queries sent to resolvers.", resolver.queries)
    add("resolver_failures_total", .counter, "Lookups that gave no address.", resolver.failures)
    let upstreams = resolver.upstreams.map { upstream in
      (upstream, [("upstream", upstream.address)] + (upstream.zone.map { [("zone", $0)] } ?? []))
    }
    func samples(_ value: (UpstreamStatus) -> Double?) -> [Sample] {
      upstreams.compactMap { upstream, labels in
        value(upstream).map {
          var sample = Sample($0)
          sample.labels = labels
          return sample
        }
      }
    }
    add("upstream_up", .gauge, "Whether a resolver answers.", samples { $0.isDown ? 0 : 1 })
    add("upstream_queries_total", .counter, "Queries sent to a resolver.", samples { Double($0.queries) })
    add(
      "upstream_timeouts_total", .counter, "Queries that a resolver did not answer.",
      samples { Double($0.timeouts) })
    add(
      "upstream_latency_seconds", .gauge, "Smoothed time of a resolver's answers.",
      samples { $0.latency.map { $0 / .seconds(1) } })
  }

  fileprivate mutating func addNames(_ dns: DNSStatus) {
    add("dns_messages_total", .counter, "Messages of agents.", dns.queries)
    add("dns_cache_hits_total", .counter, "Questions answered from memory.", dns.hits)
    add("dns_cache_entries", .gauge, "Answers remembered now.", dns.cached)
    add("dns_forwarded_total", .counter, "Questions asked upstream.", dns.forwarded)
    add("dns_pending", .gauge, "Questions under way upstream now.", dns.underWay)
    add("dns_malformed_total", .counter, "Messages that are no question.", dns.malformed)
    add("dns_limited_total", .counter, "Questions above the rate of their agent.", dns.limited)
    add("dns_dropped_total", .counter, "Of these, and answers, not sent at all.", dns.dropped)
    add("dns_suspended_domains", .gauge, "Domains whose new names are denied.", dns.suspended.count)
    guard let pool = dns.pool else { return }
    add(
      "dns_pool_addresses", .gauge, "Addresses that stand for names.",
      [
        Sample(pool.mapped, ("state", "mapped")), Sample(pool.resting, ("state", "resting")),
        Sample(pool.size - pool.mapped - pool.resting, ("state", "free")),
      ])
    add("dns_pool_exhausted_total", .counter, "Names that got none.", pool.exhausted)
  }

  fileprivate mutating func addAudit(_ log: AuditStatistics, _ counters: ShardCounters) {
    add(
      "audit_available", .gauge, "Whether the log can be written; nothing new is allowed else.",
      log.isAvailable ? 1 : 0)
    add("audit_records_total", .counter, "Records written.", log.records)
    add("audit_bytes_total", .counter, "Bytes written.", log.bytes)
    add("audit_sequence", .gauge, "Number of the last record.", log.lastSequence)
    add("audit_unsynced_records", .gauge, "Records that the disk may not have yet.", log.lag)
    add("audit_failures_total", .counter, "Writes that failed.", log.failures)
    add("audit_commit_duration_seconds", "Until the kernel had what was to be recorded.", counters.committing)
    add("audit_collapsed_total", .counter, "Records that only counters tell of.", log.collapsed)
  }

  fileprivate mutating func addFence(_ fence: FenceStatus) {
    add(
      "kernel_keeper_answers", .gauge, "Whether the process that keeps the table answers.",
      fence.isKept ? 1 : 0)
    // What it does not say, nobody knows: a number would be made up.
    guard fence.isKept else { return }
    add(
      "kernel_unguarded_devices", .gauge, "Devices on which frames of packet sockets are not stopped.",
      fence.unguarded.count)
    add("kernel_table_in_force", .gauge, "Whether the kernel holds the table.", fence.isInForce ? 1 : 0)
    add("kernel_canary_counted", .gauge, "Whether it was seen to deny.", fence.canary == .counted ? 1 : 0)
    add("kernel_denied_packets_total", .counter, "Packets that the table refused.", fence.denied)
    add("kernel_denied_frames_total", .counter, "Frames of packet sockets that it refused.", fence.frames)
    add("kernel_granted_addresses", .gauge, "Addresses that datagrams may go to now.", fence.learned)
    let links = fence.links.map {
      Sample($0.isWhole ? 1 : 0, ("interface", $0.interface), ("agent", $0.agent))
    }
    add("kernel_link_up", .gauge, "Whether an agent's interface is taken from.", links)
  }
}
