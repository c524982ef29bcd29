/// Queries in flight on one connection, and what comes back, in any order.
///
/// Each gets an id of the connection's own, so that two with the same id of their
/// own are told apart; a message goes to the query whose id it has. Whether it
/// answers the question, who asked must see.
///
/// - Source: RFC 7766 §6.2.1 (pipelining), §7 (ids), §8 (two bytes of length).
struct QueryPipe<Owner> {
  private var waiting: [UInt16: (id: ArraySlice<UInt8>, owner: Owner)] = [:]
  private var nextID: UInt16 = 0
  private var incoming: [UInt8] = []

  /// The most queries in flight: what all lookups of a loop may ask at one time.
  static var capacity: Int { ResolverLimit.lookupsInFlight * ResolverLimit.socketsPerLookup }
  /// The id, in bytes.
  private static var idLength: Int { 2 }

  /// Nothing is in flight.
  var isEmpty: Bool { waiting.isEmpty }

  /// Adds a query.
  ///
  /// - Returns: Its number here, and what is to be sent; nil when there is no room.
  mutating func add(_ query: [UInt8], for owner: Owner) -> (number: UInt16, message: [UInt8])? {
    guard waiting.count < Self.capacity, query.count >= Self.idLength,
      let length = UInt16(exactly: query.count)
    else { return nil }
    repeat { nextID &+= 1 } while waiting[nextID] != nil
    waiting[nextID] = (query[..<Self.idLength], owner)
    return (nextID, bytes(length) + bytes(nextID) + query[Self.idLength...])
  }

  /// Waits no longer for an answer; one that comes is dropped.
  mutating func remove(_ number: UInt16) { waiting[number] = nil }

  /// Takes out whoever still waits.
  mutating func removeAll() -> [Owner] {
    defer { waiting = [:] }
    return waiting.values.map(\.owner)
  }

  /// Takes in what came.
  ///
  /// - Returns: Whole messages that somebody waits for, with the ids of their queries.
  mutating func receive(_ bytes: [UInt8]) -> [(owner: Owner, message: [UInt8])] {
    incoming += bytes
    var messages: [(owner: Owner, message: [UInt8])] = [], start = 0
    while incoming.count - start >= 2 {
      let end = start + 2 + (Int(incoming[start]) << 8 | Int(incoming[start + 1]))
      guard incoming.count >= end else { break }
      if end - start >= 2 + Self.idLength,
        let query = waiting.removeValue(
          forKey: UInt16(incoming[start + 2]) << 8 | UInt16(incoming[start + 3]))
      {
        messages.append((query.owner, Array(query.id + incoming[(start + 2 + Self.idLength)..<end])))
      }
      start = end
    }
    incoming.removeFirst(start)
    return messages
  }

  private func bytes(_ value: UInt16) -> [UInt8] {
    [UInt8(truncatingIfNeeded: value >> 8), UInt8(truncatingIfNeeded: value)]
  }
}
