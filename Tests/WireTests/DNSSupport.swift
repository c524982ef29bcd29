import Testing

@testable import Wire

/// Bytes from hex digits; anything else between them is left out.
func dnsHex(_ text: String) -> [UInt8] {
  let digits = text.utf8.compactMap { Character(UnicodeScalar($0)).hexDigitValue.map(UInt8.init) }
  return stride(from: 0, to: digits.count - 1, by: 2).map { digits[$0] << 4 | digits[$0 + 1] }
}

/// A generator whose numbers are the same in each run.
struct DNSSeededGenerator: RandomNumberGenerator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var mixed = state
    mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
    return mixed ^ (mixed >> 31)
  }
}

/// What unbound 1.17.1 sent, for a zone of its own.
enum RealDNSPacket {
  static let addresses = dnsHex(
    """
    12348580000100020000000103777777076578616d706c6504746573740000010001c00c000100010000012c00040b0b000a
    c00c000100010000012c00040b0b000b00002904d0000000000000
    """)
  static let address6 = dnsHex(
    """
    12348580000100010000000103777777076578616d706c65047465737400001c0001c00c001c00010000003c00102a0eb107
    00110000000000000000001000002904d0000000000000
    """)
  static let alias = dnsHex(
    """
    12348580000100010000000105616c696173076578616d706c6504746573740000010001c00c000500010000007800060377
    7777c01200002904d0000000000000
    """)
  static let nameError = dnsHex(
    """
    123485830001000000010001026e78076578616d706c6504746573740000010001c00f000600010000001e0026026e73c00f
    0a686f73746d6173746572c00f0000000100000e1000000258000151800000001e00002904d0000000000000
    """)
  static let noData = dnsHex(
    """
    123485800001000000010001056f6e6c7934076578616d706c65047465737400001c0001c012000600010000001e0026026e
    73c0120a686f73746d6173746572c0120000000100000e1000000258000151800000001e00002904d0000000000000
    """)
  static let truncated = dnsHex(
    "123487800001000000000001046d616e79076578616d706c650474657374000001000100002904d0000000000000")

  static let all = [addresses, address6, alias, nameError, noData, truncated]

  /// A query for allowed.test A with EDNS, as a stub resolver sends it.
  static let query = dnsHex(
    "12340100000100000000000107616c6c6f776564047465737400000100010000290fa0000080000000")
}

/// Reads a whole response, as its reader does.
func readDNSResponse(_ bytes: [UInt8]) throws -> (DNSResponse, DNSSections) {
  let response = try DNSResponse(bytes)
  return (response, try response.sections())
}
