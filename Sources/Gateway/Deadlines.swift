/// How long the gate waits for what.
enum Deadlines {
  /// A request head, from its first byte or from the accept (ATTACKS: slow heads).
  static let head = Duration.seconds(10)
  /// A ClientHello, from the moment the tunnel stands.
  static let hello = Duration.seconds(10)
  /// The first byte of a captured connection that its first bytes cannot open
  /// either: what a client says is only for the record.
  static let silence = Duration.seconds(1)
  /// Between two requests of a kept connection.
  static let betweenRequests = Duration.seconds(60)
  /// A tunnel or a body on which no byte moves. SSH and database sessions rest
  /// for long; RFC 5382 REQ-5 asks 2 h 4 min of a NAT.
  static let idle = Duration.seconds(7440)
  /// The whole body of a plain request, however steadily it trickles.
  static let requestBody = Duration.seconds(3600)
  /// The whole of a tunnel or a plain exchange, where its rule sets no `duration`:
  /// a working day and a night's run pass, what was forgotten does not stay.
  static let total = Duration.seconds(86_400)
  /// An upstream that takes a request and does not answer.
  static let response = Duration.seconds(300)
  /// A client that is told no and does not go away.
  static let farewell = Duration.seconds(2)
}
