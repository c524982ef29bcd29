import Addressing
import TLSClient

/// Posts JSON documents to one place, each over a connection of its own; blocks, and takes no signal.
public struct JSONPoster: Sendable {
  /// Where to.
  public enum Place: Hashable, Sendable {
    /// A host, over TLS or in the clear.
    case host(ShippingTarget)
    /// A Unix socket.
    case unix(String)
  }

  /// What came back.
  public struct Answer: Hashable, Sendable {
    /// The status code; 3xx is one like any other, for no redirect is followed.
    public var status: Int
    /// In seconds, how long the far side asked to be left alone.
    public var retryAfter: UInt64?
  }

  private let place: Place
  private let path: String
  private let settings: TLSSettings?
  private let mayLeaveInClear: Bool
  private let patience: UInt64

  /// - Parameters:
  ///   - path: With its leading slash; as it goes on the wire.
  ///   - settings: Whose certificates are believed; nil where nothing is protected.
  ///   - mayLeaveInClear: Whether what is not protected may leave this machine.
  ///   - patience: In milliseconds, for each of connecting, sending and the whole answer.
  public init(
    to place: Place, path: String, settings: TLSSettings?, mayLeaveInClear: Bool, patience: UInt64
  ) {
    (self.place, self.path, self.settings) = (place, path, settings)
    (self.mayLeaveInClear, self.patience) = (mayLeaveInClear, patience)
  }

  /// Sends one document and reads the answer to its end.
  ///
  /// - Parameter fields: Names and values of header fields, none of which comes from outside.
  public func post(_ body: [UInt8], fields: [(name: String, value: String)]) throws(ConnectionError) -> Answer
  {
    let waiter = Waiter(takingSignals: false)
    let stream: Stream, authority: String
    switch place {
    case .host(let target):
      stream = try Stream(
        to: target, settings: settings, mayLeaveInClear: mayLeaveInClear, waiter: waiter, patience: patience)
      authority = "\(target.host):\(target.port)"
    case .unix(let path):
      stream = try Stream(in: .unix(path), waiter: waiter, patience: patience)
      authority = "localhost"
    }
    let answer = try HTTPPost(authority: authority, bodyLimit: 0)
      .send("POST", path, body, fields: fields + [("Connection", "close")], over: stream)
    return Answer(status: answer.status, retryAfter: answer.retryAfter)
  }
}
