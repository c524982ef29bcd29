import Addressing
import Glibc

/// Tries every part of nf_tables that our tables need, each in a scratch table
/// of its own, so that a missing one has a name before anything depends on it.
public enum KernelProbe {
  /// What the tables are for.
  public enum Mode: Hashable, Sendable, CaseIterable {
    case sidecar, gateway
  }

  public struct Finding: Hashable, Sendable {
    /// As the kernel's configuration or nft(8) calls it.
    public var feature: String
    /// What does not work without it.
    public var loss: String
    /// Whether the table cannot do without it.
    public var isRequired: Bool
    /// Why it does not work; nil when it does.
    public var error: NetfilterError?

    public var isSupported: Bool { error == nil }
  }

  /// Tries all that `mode` needs, in the network namespace of the calling
  /// thread. The scratch table lets everything pass and is gone afterwards.
  ///
  /// - Throws: `notPermitted` and what else concerns no single feature.
  public static func run(_ mode: Mode) throws(NetfilterError) -> [Finding] {
    try run(features.filter { $0.modes.contains(mode) })
  }

  static func run(_ features: [Feature]) throws(NetfilterError) -> [Finding] {
    let socket = try NetfilterSocket()
    let name = scratchName
    try socket.install(Table(name))
    try socket.remove(name)
    var findings: [Finding] = []
    for feature in features {
      findings.append(
        feature.finding(
          attempt { () throws(NetfilterError) in
            try socket.install(feature.table)
            try socket.remove(feature.table.name)
          }))
    }
    findings.append(ownership.finding(attempt { () throws(NetfilterError) in try probeOwnership(name) }))
    findings.append(refresh.finding(attempt { () throws(NetfilterError) in try probeRefresh(name) }))
    return findings
  }

  static var scratchName: TableName { TableName(.inet, "exitgate_probe_\(getpid())") }

  private static func attempt(_ body: () throws(NetfilterError) -> Void) -> NetfilterError? {
    do {
      try body()
      return nil
    } catch { return error }
  }

  private static func probeOwnership(_ name: TableName) throws(NetfilterError) {
    let socket = try NetfilterSocket()
    try socket.claim([Table(name)], ownership: .ownedPersistent)
    let listed = try socket.tables(prefix: name.name)
    try socket.remove(name)
    guard listed.contains(where: { $0.name == name && $0.isOwned && $0.isPersistent }) else {
      throw NetfilterError("own a table", .unsupported)
    }
  }

  /// Whether adding an element that is there starts its time anew.
  private static func probeRefresh(_ name: TableName) throws(NetfilterError) {
    let socket = try NetfilterSocket()
    try socket.install(Table(name, sets: [Grants.raw4]))
    defer { try? socket.remove(name) }
    var element = Grants.learned(.v4(1), port: 1, mark: 1, timeout: .seconds(600)).element
    element.remaining = .seconds(60)
    try socket.add([element], to: Grants.raw4, of: name)
    element.remaining = nil
    try socket.add([element], to: Grants.raw4, of: name)
    let left = try socket.elements(of: Grants.raw4, in: name).first?.expiration ?? .zero
    guard left > .seconds(500) else { throw NetfilterError("restart the time of an element", .unsupported) }
  }

  private static let ownership = Feature(
    "table flags owner and persist (Linux 6.9)",
    loss: "anybody with CAP_NET_ADMIN can change the table; it is watched instead", isRequired: false)
  private static let refresh = Feature(
    "updates of set elements (Linux 6.12)",
    loss: "a learned address is out of reach between its expiry and the next answer", isRequired: false)
}

extension NetfilterSocket {
  fileprivate func install(_ table: Table) throws(NetfilterError) { try claim([table], ownership: .plain) }
}
