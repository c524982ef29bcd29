import Addressing

/// Methods whose request carries a length even when there is no body, since
/// servers wait for one otherwise (RFC 9110 §8.6).
private let methodsWithBody: Set<String> = ["POST", "PUT", "PATCH"]

extension RequestHead {
  /// The head as the upstream gets it, built anew from the parsed request:
  /// origin-form, `Host` from the canonical target, without the fields of this
  /// hop, without credentials for a proxy. One request for each connection.
  ///
  /// - Parameters:
  ///   - framing: How the body is sent on; nil: as it comes in.
  ///   - upgrade: Whether the policy lets it become a WebSocket.
  /// - Returns: Empty for CONNECT, which has no head to forward.
  public func upstreamBytes(framing: BodyFraming? = nil, upgrade: Bool = false) -> [UInt8] {
    guard case .absolute(let authority, let pathAndQuery) = target else { return [] }
    let framing = framing ?? self.framing
    var writer = HeadWriter(startLine: "\(method) \(pathAndQuery) HTTP/1.1", like: fields)
    writer.field("Host", authority.port == .http ? "\(authority.host)" : "\(authority)")
    writer.endToEndFields(of: fields, except: expectsContinue ? nil : .expect)
    writer.framing(framing == .none && methodsWithBody.contains(method) ? .length(0) : framing)
    writer.via()
    if upgrade, self.upgrade == "websocket" {
      writer.field("Connection", "Upgrade")
      writer.field("Upgrade", "websocket")
    } else {
      writer.field("Connection", "close")
    }
    writer.endLine()
    return writer.bytes
  }
}
