import Policy
import Wire

/// What becomes of a question for an allowed name, by the type of record alone.
enum QuestionClass: Hashable, Sendable {
  /// An address, or the alias that leads to one: asked upstream.
  case resolve
  /// There is nothing: HTTPS and SVCB records carry addresses past every filter,
  /// and keys that hide the server's name.
  case noData
  /// One small record instead of all (RFC 8482 §4.2).
  case any
  /// Whole zones, keys of the transport, and what has no meaning between a
  /// client and its resolver, or a meaning that we cannot know.
  case refused
  /// Asked upstream where a `dns` rule names the type; else there is nothing.
  case byRule(String)

  /// Sorts a type.
  ///
  /// - Source: RFC 6895 §3.1: 128 to 255 are for questions and transfers, 65280
  ///   to 65534 for private use; 0 and 65535 are reserved. RFC 1035 §3.3.10
  ///   (NULL: any bytes at all), RFC 6891 §6.1.1 (OPT is no record of a name).
  init(_ type: DNSRecordType) {
    switch type.rawValue {
    case 1, 5, 28: self = .resolve
    case 64, 65: self = .noData
    case 255: self = .any
    case 0, 3, 4, 10, 41, 128...254, 65280...65535: self = .refused
    default: self = .byRule(RecordTypes.name(of: type.rawValue))
    }
  }
}

extension DNSRecordType {
  /// The type's name, as rules and records have it: `TXT`, or `TYPE65280`.
  var mnemonic: String { RecordTypes.name(of: rawValue) }
}
