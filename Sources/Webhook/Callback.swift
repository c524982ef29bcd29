import Audit
import Control

/// An answer that came by the callback, read strictly.
public struct CallbackAnswer: Hashable, Sendable {
  /// What is to be carried out.
  public var order: AnswerOrder
  /// Whether it lets something pass.
  public var isAllowing: Bool
  /// Who answered, as the far side says.
  public var name: String

  private static let names: Set = ["id", "decision", "for", "by", "digest", "generation", "note"]
  /// In scalars.
  private static let longestName = 128

  /// Reads a body; nil for anything but one object of exactly the known fields.
  public init?(_ body: [UInt8]) {
    guard let value = try? JSONValue(parsing: body, limit: CallbackJudge.bodyLimit),
      let members = value.members,
      Set(members.map(\.name)).isSubset(of: Self.names), let id = value["id"]?.text,
      let digest = value["digest"]?.text,
      let generation = value["generation"]?.integer.flatMap({ UInt64(exactly: $0) }),
      let name = value["by"]?.text, (1...Self.longestName).contains(name.unicodeScalars.count)
    else { return nil }
    switch value["decision"]?.text {
    case "allow": isAllowing = true
    case "refuse": isAllowing = false
    default: return nil
    }
    guard let (scope, seconds) = Self.scope(value["for"]?.text) else { return nil }
    if let note = value["note"], note.text == nil { return nil }
    self.name = name
    order = AnswerOrder(
      id: id, generation: generation, digest: digest, scope: scope, seconds: seconds,
      note: value["note"]?.text)
  }

  /// `once`, `session`, `always`, or a time such as `90s`, `30m`, `8h`, `7d`.
  private static func scope(_ text: String?) -> (String, Int64?)? {
    guard let text else { return nil }
    if ["once", "session", "always"].contains(text) { return (text, nil) }
    let units: [UInt8: Int64] = [0x73: 1, 0x6d: 60, 0x68: 3600, 0x64: 86_400]
    guard let unit = text.utf8.last.flatMap({ units[$0] }), text.utf8.count <= 8,
      text.utf8.dropLast().allSatisfy({ (0x30...0x39).contains($0) }), let number = Int64(text.dropLast()),
      number > 0
    else { return nil }
    return ("time", number * unit)
  }
}

/// Whether a request of the callback is the far side's, and was not seen before; time is an argument.
public struct CallbackJudge: Sendable {
  /// In bytes.
  public static let bodyLimit = 4096
  /// In seconds, how far a signature's time may be from now.
  public static let window: Int64 = 300
  /// Nonces that are remembered: each for as long as its time is good.
  private static let nonceLimit = 4096

  /// Why a request is refused.
  public enum Refusal: String, Error, Hashable, Sendable {
    case unsigned = "it is not signed: Exitgate-Timestamp, Exitgate-Nonce and Exitgate-Signature, each once"
    case forged = "the signature is wrong"
    case stale = "it is too old, or of the future"
    case replayed = "it was sent before"
    case busy = "too many at once"
  }

  /// What of a request counts; a field that came twice is nil.
  public struct Question: Sendable {
    var time: [UInt8]?
    var nonce: [UInt8]?
    var signature: [UInt8]?
    var body: [UInt8]

    /// Takes the values of the three fields, as often as they came.
    public init(times: [[UInt8]], nonces: [[UInt8]], signatures: [[UInt8]], body: [UInt8]) {
      time = times.count == 1 ? times[0] : nil
      nonce = nonces.count == 1 ? nonces[0] : nil
      signature = signatures.count == 1 ? signatures[0] : nil
      self.body = body
    }
  }

  private let secret: WebhookSecret
  private var seen: [String: Int64] = [:]

  /// Makes a judge who has seen nothing.
  public init(_ secret: WebhookSecret) { self.secret = secret }

  /// Lets a request pass once.
  ///
  /// - Parameter now: In seconds of the clock on the wall.
  public mutating func admit(_ question: Question, at now: Int64) throws(Refusal) {
    guard let time = question.time.flatMap(Self.number), let nonce = question.nonce.flatMap(Self.nonce),
      let signature = question.signature, signature.starts(with: "v1=".utf8)
    else { throw .unsigned }
    // Before anything else that the far side alone can cause.
    guard secret.isSigned("\(time).\(nonce).", question.body, by: Array(signature.dropFirst(3))) else {
      throw .forged
    }
    guard (now - Self.window...now + Self.window).contains(time) else { throw .stale }
    seen = seen.filter { $0.value >= now - Self.window }
    guard seen[nonce] == nil else { throw .replayed }
    guard seen.count < Self.nonceLimit else { throw .busy }
    seen[nonce] = time
  }

  private static func number(_ bytes: [UInt8]) -> Int64? {
    guard (1...12).contains(bytes.count), bytes.allSatisfy({ (0x30...0x39).contains($0) }), bytes[0] != 0x30
    else {
      return nil
    }
    return Int64(String(decoding: bytes, as: UTF8.self))
  }

  /// 16 to 64 of what RFC 4648 §5 has digits for.
  private static func nonce(_ bytes: [UInt8]) -> String? {
    guard (16...64).contains(bytes.count) else { return nil }
    for byte in bytes {
      switch byte {
      case 0x30...0x39, 0x41...0x5a, 0x61...0x7a, 0x2d, 0x5f: continue
      default: return nil
      }
    }
    return String(decoding: bytes, as: UTF8.self)
  }
}
