/// What a client asks of a running gate. Later verbs (pending, approve, …) are
/// further cases; a gate refuses, by name, a verb it does not know.
public enum ControlRequest: String, Hashable, Sendable, CaseIterable {
  /// What the gate is doing now; answered by `ControlReply.status`.
  case status
  /// Read the policy anew; answered by `ControlReply.reloaded` or `.reloadRefused`.
  case reload
}

/// The numbers both ends of the control socket agree on.
public enum ControlProtocol {
  /// The version of the messages. Either end refuses any other.
  public static let version = 1
  /// The longest message in bytes, newline included.
  public static let maximumLength = 65_536
  /// The deepest nesting of a message.
  public static let maximumDepth = 8
}

/// Why a message is refused. Nothing of the message is repeated.
public enum ControlError: Error, Hashable, Sendable {
  /// More than `ControlProtocol.maximumLength` bytes without a newline.
  case tooLong
  /// Not one JSON object, or nested too deep.
  case notAnObject
  /// The other end speaks another version of the protocol.
  case version
  /// A request with a verb that this gate does not know.
  case unknownRequest
  /// A request with a field that this gate does not know.
  case unknownField
  /// A field is missing, or holds another kind of value.
  case field(String)
}

extension ControlError: CustomStringConvertible {
  public var description: String {
    switch self {
    case .tooLong: "a message is longer than \(ControlProtocol.maximumLength) bytes"
    case .notAnObject: "a message is not one JSON object"
    case .version: "the other end speaks another version of the control protocol"
    case .unknownRequest:
      "the request is not one of \(ControlRequest.allCases.map(\.rawValue).joined(separator: ", "))"
    case .unknownField: "the request has a field that is not known"
    case .field(let name): "the field '\(name)' is missing or of another kind"
    }
  }
}
