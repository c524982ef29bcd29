import Addressing
import Firewall

/// Prints what it costs to let one learned address pass: from the call until
/// the kernel has acknowledged it, in microseconds, in a table like a sidecar's.
@main struct FirewallBench {
  static let rounds = 20_000

  static func main() throws {
    let none = AddressFloor(always4: [], always6: [], private4: [], private6: [])
    guard let four = IPPrefix("198.18.0.0/15"), let six = IPPrefix("fd00::/48") else { return }
    let table = SidecarTable(
      gateUID: 2001, gateGroup: nil, transparentPort: 15001, dnsPort: 15353, proxyPort: 3128,
      synthetic4: four,
      synthetic6: six, grants: Grants(liveMarks: [2], floor: none), logGroup: 5
    ).table
    let socket = try NetfilterSocket()
    try socket.claim([table])
    print("| one insert, acknowledged, \(rounds) times | median µs | p99 µs |\n|---|---|---|")
    try report("a new address, `raw4`", socket, table) { IPAddress.v4(0x0b00_0000 + UInt32($0)) }
    try report("a new address, `raw6`", socket, table) { IPAddress.v6(high: 0x2a0e << 48, low: UInt64($0)) }
    try report("an address that is there", socket, table) { IPAddress.v4(0x0b00_0000 + UInt32($0 % 100)) }
  }

  private static func report(
    _ title: String, _ socket: NetfilterSocket, _ table: Table, _ address: (Int) -> IPAddress
  ) throws {
    var times: [Duration] = []
    for round in 0..<rounds {
      let learned = Grants.learned(address(round), port: 443, mark: 2, timeout: .seconds(300))
      let elapsed = try ContinuousClock().measure {
        try socket.add([learned.element], to: learned.set, of: table.name)
      }
      times.append(elapsed)
    }
    times.sort()
    print("| \(title) | \(text(times[rounds / 2])) | \(text(times[rounds * 99 / 100])) |")
  }

  /// Microseconds with one decimal.
  private static func text(_ time: Duration) -> String {
    let tenths = (time.components.attoseconds + 50_000_000_000) / 100_000_000_000
    return "\(tenths / 10).\(tenths % 10)"
  }
}
