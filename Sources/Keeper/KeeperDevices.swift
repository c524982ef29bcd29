import Firewall

extension KeeperSettings {
  /// Takes the devices that there are for those that lead out.
  ///
  /// - Returns: Whether they were others; nil where devices are no matter of the table.
  mutating func follow(_ links: [NetworkLink]) -> Bool? {
    guard case .sidecar(var own) = side else { return nil }
    let devices = links.map(\.name).filter { $0 != "lo" }.sorted()
    defer {
      own.devices = devices
      side = .sidecar(own)
    }
    return devices != own.devices
  }

  /// The devices that lead out.
  var devices: [String] { if case .sidecar(let own) = side { own.devices } else { [] } }
}

extension Keeper {
  /// Guards devices that came since the table was made. Until that is done they are said to be unguarded.
  ///
  /// - Parameter report: What became of devices; which there are is asked anew, so that none is missed.
  func followDevices(_ report: LinkWatch.Report) {
    guard !report.isEmpty || isUnlisted else { return }
    // Where nobody can say, it is asked again before the next message is obeyed.
    let listed = try? links?.links()
    isUnlisted = listed == nil
    guard let links = listed else { return }
    let before = settings.devices
    guard let differs = settings.follow(links) else { return }
    // One that went and is there again is another, whatever its name.
    let kept = report.isOverrun ? [] : Set(before).subtracting(report.changes.compactMap(\.absentName))
    let fresh = settings.devices.filter { !kept.contains($0) }
    unguarded = (unguarded.filter { !fresh.contains($0) } + fresh).filter(settings.devices.contains)
    told.formIntersection(settings.devices)
    deviceNumbers = links.filter { $0.name != "lo" }.map(\.index)
    if differs || !fresh.isEmpty { isStale = true }
  }

  /// Makes the egress table anew, for all devices in one step.
  ///
  /// - Returns: Whether the kernel has it.
  func guardDevices() -> Bool {
    guard let egress = settings.egress else { return true }
    keepCount(of: [egress.name])
    do throws(NetfilterError) {
      try socket.claim([egress], ownership: settings.ownership)
      for device in unguarded { say(.device(device, isGuarded: true)) }
      told.subtract(unguarded)
      unguarded = []
      if let deviceNumbers { canary?.follow(deviceNumbers) }
      return true
    } catch {
      for device in unguarded where told.insert(device).inserted { say(.device(device, isGuarded: false)) }
      return false
    }
  }
}

extension LinkWatch.Change {
  fileprivate var absentName: String? { if case .absent(let link) = self { link.name } else { nil } }
}
