/// The types of DNS records by number and by name.
///
/// - Source: IANA, Domain Name System (DNS) Parameters, Resource Record TYPEs;
///   RFC 3597 §5 (`TYPE65280` for a number without a name).
public enum RecordTypes {
  /// Those that `protocol: dns` rules can open, as their names in upper case.
  public static let open = [
    "TXT", "MX", "NS", "SRV", "SOA", "PTR", "CAA", "TLSA", "SSHFP", "NAPTR", "DS", "DNSKEY", "RRSIG", "NSEC",
    "NSEC3", "SPF", "LOC", "HINFO", "URI", "SMIMEA", "OPENPGPKEY", "DNAME", "CERT",
  ]

  /// Those that every rule opens that could match the name.
  public static let addresses = ["A", "AAAA", "CNAME"]

  /// The name of a number: `TXT`, or `TYPE65280` where it has none.
  public static func name(of number: UInt16) -> String {
    names[number] ?? "TYPE\(number)"
  }

  /// The number of a name in upper case, or of `TYPE` with a number up to 65535.
  ///
  /// - Returns: nil for any other text.
  public static func number(of name: String) -> UInt16? {
    if let number = numbers[name] { return number }
    let digits = name.utf8.dropFirst(4)
    guard name.utf8.starts(with: "TYPE".utf8), (1...5).contains(digits.count) else { return nil }
    var number: UInt32 = 0
    for digit in digits {
      guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(digit) else { return nil }
      number = number * 10 + UInt32(digit - UInt8(ascii: "0"))
    }
    return UInt16(exactly: number)
  }

  private static let names: [UInt16: String] = [
    1: "A", 2: "NS", 3: "MD", 4: "MF", 5: "CNAME", 6: "SOA", 7: "MB", 8: "MG", 9: "MR", 10: "NULL", 11: "WKS",
    12: "PTR", 13: "HINFO", 14: "MINFO", 15: "MX", 16: "TXT", 17: "RP", 18: "AFSDB", 19: "X25", 20: "ISDN",
    21: "RT", 22: "NSAP", 23: "NSAP-PTR", 24: "SIG", 25: "KEY", 26: "PX", 27: "GPOS", 28: "AAAA", 29: "LOC",
    30: "NXT", 33: "SRV", 35: "NAPTR", 36: "KX", 37: "CERT", 38: "A6", 39: "DNAME", 41: "OPT", 42: "APL",
    43: "DS", 44: "SSHFP", 45: "IPSECKEY", 46: "RRSIG", 47: "NSEC", 48: "DNSKEY", 49: "DHCID", 50: "NSEC3",
    51: "NSEC3PARAM", 52: "TLSA", 53: "SMIMEA", 55: "HIP", 59: "CDS", 60: "CDNSKEY", 61: "OPENPGPKEY",
    62: "CSYNC", 63: "ZONEMD", 64: "SVCB", 65: "HTTPS", 66: "DSYNC", 99: "SPF", 104: "NID", 105: "L32",
    106: "L64", 107: "LP", 108: "EUI48", 109: "EUI64", 249: "TKEY", 250: "TSIG", 251: "IXFR", 252: "AXFR",
    253: "MAILB", 254: "MAILA", 255: "ANY", 256: "URI", 257: "CAA", 258: "AVC", 259: "DOA", 260: "AMTRELAY",
    261: "RESINFO", 262: "WALLET", 32768: "TA", 32769: "DLV",
  ]

  private static let numbers = Dictionary(uniqueKeysWithValues: names.map { ($0.value, $0.key) })
}
