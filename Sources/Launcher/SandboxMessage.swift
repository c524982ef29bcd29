/// What the gate and the processes around a command tell each other: a letter, and what belongs to it.
enum SandboxMessage: Hashable, Sendable {
  /// There is a user namespace, which needs its ids.
  case unshared
  /// It has them.
  case mapped
  /// A part is refused; nothing is left of the sandbox.
  case refused(SandboxError)
  /// All is there, perhaps with IPv6; the descriptors come along. `ungrouped`: why no control group holds it, which
  /// somebody agreed to.
  case ready(hasIPv6: Bool, ungrouped: String?)
  /// The command is to start.
  case go
  /// It runs.
  case started
  /// It could not be started: the kernel's reason.
  case unstartable(Int32)
  /// It has ended: its exit status, or 128 and the signal that killed it.
  case ended(Int32)
  /// Its time is over.
  case overtime
  /// A signal for the command.
  case signal(Int32)

  /// As it travels.
  var bytes: [UInt8] {
    switch self {
    case .unshared: [UInt8(ascii: "u")]
    case .mapped: [UInt8(ascii: "m")]
    case .refused(let error):
      [UInt8(ascii: "r")] + Array(error.part.rawValue.utf8) + [0] + Array(error.cause.utf8)
    case .ready(let hasIPv6, let cause):
      [hasIPv6 ? UInt8(ascii: "y") : UInt8(ascii: "n")] + Array((cause ?? "").utf8)
    case .go: [UInt8(ascii: "g")]
    case .started: [UInt8(ascii: "s")]
    case .unstartable(let number): [UInt8(ascii: "f")] + Self.word(number)
    case .ended(let number): [UInt8(ascii: "e")] + Self.word(number)
    case .overtime: [UInt8(ascii: "o")]
    case .signal(let number): [UInt8(ascii: "k")] + Self.word(number)
    }
  }

  /// Reads one; nil for what is none.
  init?(_ bytes: [UInt8]) {
    guard let first = bytes.first else { return nil }
    let rest = bytes.dropFirst()
    switch (first, rest.count) {
    case (UInt8(ascii: "u"), 0): self = .unshared
    case (UInt8(ascii: "m"), 0): self = .mapped
    case (UInt8(ascii: "y"), _), (UInt8(ascii: "n"), _):
      let cause = rest.isEmpty ? nil : String(decoding: rest, as: UTF8.self)
      self = .ready(hasIPv6: first == UInt8(ascii: "y"), ungrouped: cause)
    case (UInt8(ascii: "o"), 0): self = .overtime
    case (UInt8(ascii: "g"), 0): self = .go
    case (UInt8(ascii: "s"), 0): self = .started
    case (UInt8(ascii: "f"), 4): self = .unstartable(Self.number(rest))
    case (UInt8(ascii: "e"), 4): self = .ended(Self.number(rest))
    case (UInt8(ascii: "k"), 4): self = .signal(Self.number(rest))
    case (UInt8(ascii: "r"), _):
      let fields = rest.split(separator: 0, maxSplits: 1, omittingEmptySubsequences: false)
      guard fields.count == 2, let part = SandboxPart(rawValue: String(decoding: fields[0], as: UTF8.self))
      else { return nil }
      self = .refused(SandboxError(part, String(decoding: fields[1], as: UTF8.self)))
    default: return nil
    }
  }

  private static func word(_ number: Int32) -> [UInt8] { withUnsafeBytes(of: number, Array.init) }

  /// - Precondition: Four bytes.
  private static func number(_ bytes: ArraySlice<UInt8>) -> Int32 {
    bytes.withUnsafeBytes { $0.loadUnaligned(as: Int32.self) }
  }
}
