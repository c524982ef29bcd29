/// A response code of DNS, as the log and as people name it.
///
/// - Source: RFC 6895 §2.3 and IANA's registry (`mnemonic`); OCSF 1.8.0,
///   dns_activity, enum of `rcode_id` (`identifier`, `caption`).
struct ResponseCode: Hashable, Sendable {
  /// The value of `rcode_id`.
  let identifier: UInt16
  /// The value of `rcode`.
  let caption: String
  /// The word in IANA's registry; `RCODE77` where it has none.
  let mnemonic: String

  /// Takes a code as it is on the wire, the upper bits of EDNS with it.
  init(_ code: UInt16) {
    let names = Self.names[code]
    identifier = names == nil ? 99 : code
    caption = names?.caption ?? "Other"
    mnemonic = names?.mnemonic ?? "RCODE\(code)"
  }

  /// Finds a code by its `rcode_id`; nil for what has no word of its own.
  static func mnemonic(identifier: Int64) -> String? {
    UInt16(exactly: identifier).flatMap { names[$0]?.mnemonic }
  }

  /// What a gate can answer, or an upstream.
  private static let names: [UInt16: (caption: String, mnemonic: String)] = [
    0: ("NoError", "NOERROR"), 1: ("FormError", "FORMERR"), 2: ("ServError", "SERVFAIL"),
    3: ("NXDomain", "NXDOMAIN"), 4: ("NotImp", "NOTIMP"), 5: ("Refused", "REFUSED"),
    6: ("YXDomain", "YXDOMAIN"), 7: ("YXRRSet", "YXRRSET"), 8: ("NXRRSet", "NXRRSET"),
    9: ("NotAuth", "NOTAUTH"), 10: ("NotZone", "NOTZONE"), 16: ("BADVERS", "BADVERS"),
  ]
}
