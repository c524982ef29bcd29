import Firewall

/// A link that was taken from its agent: the kernel's number of it, and why.
struct LostLink: Hashable {
  var index: UInt32
  var loss: LinkLoss
}

extension KeeperSettings {
  /// Closes the links that something became of, for good: none opens again.
  ///
  /// - Parameter listed: What there is, once changes were lost; nil where nobody can say.
  /// - Returns: Those that were open until now.
  mutating func close(after report: LinkWatch.Report, listed: [NetworkLink]? = nil) -> [LostLink] {
    guard case .gateway(var agents) = side, !report.isEmpty else { return [] }
    var lost: [LostLink] = []
    for agent in agents.indices {
      for link in agents[agent].indices where !agents[agent][link].isClosed {
        let index = agents[agent][link].index
        guard let loss = report.loss(of: index, listed: listed) else { continue }
        agents[agent][link].isClosed = true
        lost.append(LostLink(index: index, loss: loss))
      }
    }
    side = .gateway(agents)
    return lost
  }
}

extension LinkWatch.Report {
  fileprivate func loss(of index: UInt32, listed: [NetworkLink]?) -> LinkLoss? {
    if let told = changes.lazy.compactMap({ LinkLoss($0, to: index) }).first { return told }
    guard isOverrun else { return nil }
    return listed.map { LinkLoss(among: $0, of: index) } ?? .unsure
  }
}

extension Keeper {
  /// Hears what became of the links, and notes what has to be told of it.
  func hearOfLinks() {
    guard let links else { return }
    let report = links.receive()
    followDevices(report)
    let lost = settings.close(after: report, listed: report.isOverrun ? try? links.links() : nil)
    guard !lost.isEmpty else { return }
    untold += lost
    isStale = true
  }

  /// Takes from links that something became of what they had, in the table first, then in words.
  ///
  /// Where the kernel refuses it is tried again at the next call.
  func followLinks() {
    guard let rules else { return }
    hearOfLinks()
    remakeMissing(rules)
    if isStale { closeLinks(rules) }
    for lost in untold { say(.lost(lost.index, lost.loss)) }
    untold = []
  }

  private func closeLinks(_ rules: FenceRules) {
    guard settings.egress == nil else { return isStale = !guardDevices() }
    do {
      try socket.refill(settings.table(rules))
      isStale = false
    } catch {
      // It is made anew where somebody took it away.
      keepCount()
      do {
        try socket.claim(settings.tables(rules), ownership: settings.ownership)
        isStale = false
      } catch  where !untold.isEmpty {
        tell("an agent's link; the kernel's table is NOT changed yet: \(error)")
      } catch {}
    }
  }
}
