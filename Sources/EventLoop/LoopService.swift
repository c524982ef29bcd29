/// A descriptor on a loop that is no channel: a listening or a datagram socket.
protocol LoopService: AnyObject {
  func serviceIsReady()
  func loopEnds()
}

/// Something that had work left when its share of a turn was used up.
protocol TurnContinuation: AnyObject {
  func continueTurn()
}
