import Addressing
import Testing

@testable import Audit
@testable import Shipping

@Suite struct ShipmentTests {
  func position(_ number: UInt64) -> LogPosition {
    LogPosition(sequence: number, hash: .zero, file: "audit.jsonl", offset: Int64(number) * 100)
  }

  @Test("records are sent, then confirmed; idle connections are kept until something on them is old")
  func steps() {
    var shipment = Shipment(behind: nil)
    #expect(shipment.next(at: 0, hasMore: false, isStopping: false) == .wait(250))
    #expect(shipment.next(at: 0, hasMore: true, isStopping: false) == .connect)
    shipment.connected()
    #expect(shipment.next(at: 0, hasMore: true, isStopping: false) == .send)
    shipment.sent(3, bytes: 300, through: position(3), at: 100)
    #expect(shipment.next(at: 200, hasMore: false, isStopping: false) == .wait(250))
    #expect(shipment.confirmed == nil && shipment.pending == 3)
    #expect(shipment.next(at: 30_099, hasMore: true, isStopping: false) == .send)
    #expect(shipment.next(at: 30_100, hasMore: true, isStopping: false) == .confirm)
    shipment.confirm()
    shipment.closed()
    #expect(shipment.confirmed == position(3) && shipment.shipped == 3)
    #expect(shipment.next(at: 30_200, hasMore: false, isStopping: false) == .wait(250))
  }

  @Test("much that is not confirmed is confirmed at once")
  func window() {
    var shipment = Shipment(behind: position(1))
    shipment.connected()
    shipment.sent(9, bytes: Shipment.windowBytes, through: position(10), at: 0)
    #expect(shipment.next(at: 0, hasMore: true, isStopping: false) == .confirm)
  }

  @Test("after a failure it waits, longer each time, and what is not confirmed is sent again")
  func failure() {
    var shipment = Shipment(behind: position(1))
    shipment.connected()
    shipment.sent(9, bytes: 1, through: position(10), at: 0)
    #expect(shipment.fail(at: 1000, chance: 1) == 1000)
    #expect(shipment.confirmed == position(1) && shipment.resent == 9 && shipment.pending == 0)
    #expect(
      shipment.next(at: 1900, hasMore: true, isStopping: false) == .wait(100) && shipment.isResting(at: 1999))
    #expect(shipment.next(at: 2000, hasMore: true, isStopping: false) == .connect)
    #expect(shipment.fail(at: 2000, chance: 0) == 1000 && shipment.fail(at: 3000, chance: 1) == 4000)
    #expect(shipment.fail(at: 3000, chance: 1, atLeast: 90_000) == 90_000)
    shipment.connected()
    shipment.sent(1, bytes: 1, through: position(2), at: 0)
    shipment.confirm()
    #expect(shipment.failures == 0)
  }

  @Test("pauses grow to a minute, and no two processes need have the same")
  func backoff() {
    for failures in 1...40 {
      let least = Backoff.pause(after: failures, chance: 0), most = Backoff.pause(after: failures, chance: 1)
      #expect(least >= 500 && most <= 60_000 && most == least * 2)
      #expect(most == min(60_000, 1000 << UInt64(min(failures - 1, 16))))
    }
  }

  @Test("told to stop, it confirms what it sent and sends nothing more")
  func stopping() {
    var shipment = Shipment(behind: nil)
    shipment.connected()
    shipment.sent(1, bytes: 1, through: position(1), at: 0)
    #expect(shipment.next(at: 0, hasMore: true, isStopping: true) == .confirm)
    shipment.confirm()
    shipment.closed()
    #expect(shipment.next(at: 0, hasMore: true, isStopping: true) == .finish(isDrained: false))
    #expect(shipment.next(at: 0, hasMore: false, isStopping: true) == .finish(isDrained: true))
  }

  @Test("once: it ends when everything is confirmed, and at the first failure")
  func once() {
    var shipment = Shipment(behind: nil, endsWhenDrained: true)
    #expect(shipment.next(at: 0, hasMore: false, isStopping: false) == .finish(isDrained: true))
    shipment.connected()
    shipment.sent(1, bytes: 1, through: position(1), at: 0)
    #expect(shipment.next(at: 0, hasMore: false, isStopping: false) == .confirm)
    var failing = shipment
    failing.fail(at: 0, chance: 0)
    #expect(failing.next(at: 0, hasMore: true, isStopping: false) == .finish(isDrained: false))
    shipment.confirm()
    shipment.closed()
    #expect(shipment.next(at: 0, hasMore: false, isStopping: false) == .finish(isDrained: true))
  }

  @Test(
    "whatever fails and whenever, every record arrives, and nothing is confirmed that did not",
    arguments: 1...40)
  func property(seed: UInt64) {
    var random = Numbers(state: seed)
    let total: UInt64 = 300
    var shipment = Shipment(behind: nil), arrived: Set<UInt64> = [], onTheWay: [UInt64] = [],
      next: UInt64 = 1, now: UInt64 = 0
    for _ in 0..<1_000_000 {
      guard shipment.confirmed?.sequence != total else { break }
      let isBroken = random.next() % 5 == 0
      switch shipment.next(at: now, hasMore: next <= total, isStopping: false) {
      case .wait(let milliseconds): now += milliseconds
      case .finish: Issue.record("it ended")
      case .connect where !isBroken: shipment.connected()
      case .send where !isBroken:
        let end = min(total, next + random.next() % 20)
        onTheWay += Array(next...end)
        shipment.sent(end - next + 1, bytes: 100_000, through: position(end), at: now)
        next = end + 1
      case .confirm where !isBroken:
        arrived.formUnion(onTheWay)
        onTheWay = []
        shipment.confirm()
        shipment.closed()
        #expect(arrived.isSuperset(of: 1...(shipment.confirmed?.sequence ?? 1)))
      default:
        // Of what was on its way, some arrived all the same.
        arrived.formUnion(onTheWay.prefix(Int(random.next() % 8)))
        onTheWay = []
        shipment.fail(at: now, chance: 0.5)
        next = (shipment.confirmed?.sequence ?? 0) + 1
      }
    }
    #expect(shipment.confirmed?.sequence == total && arrived.count == Int(total))
  }

  static let targets: [(String, String?)] = [
    ("syslog+tls://logs.example.com", "syslog+tls://logs.example.com:6514"),
    ("syslog+tls://logs.example.com:7000/", "syslog+tls://logs.example.com:7000"),
    ("https://[2001:db8::1]", "https://[2001:db8::1]:4318"), ("http://127.0.0.1:9", "http://127.0.0.1:9"),
    ("syslog://x", nil), ("tcp://x:1", nil), ("https://a/b", nil), ("https://u@a", nil), ("https://", nil),
    ("https://a:0", nil), ("logs.example.com:6514", nil), ("https://a?x", nil), ("HTTPS://a", nil),
  ]

  @Test("targets are host and port, of three kinds", arguments: targets)
  func target(text: String, shown: String?) {
    #expect((try? ShippingTarget(text)).map { "\($0)" } == shown)
  }

  @Test("a state survives being written and read, and nothing else is taken for one")
  func record() throws {
    let log = try SampleLog(), path = log.path + "/state.json"
    #expect(try ShippingRecord.read(path) == nil)
    var record = ShippingRecord(log: "/a")
    record.position = position(7)
    (record.shipped, record.lost, record.cause) = (9, 2, "it \"broke\"\n")
    record.failingSince = SampleLog.now
    try record.write(path)
    #expect(try ShippingRecord.read(path) == record)
    #expect(throws: ShippingError.otherLog(path, log: "/a")) { try ShippingRecord.of("/b", at: path) }
    try OwnFile.replace(path, with: Array("{}".utf8))
    #expect(throws: ShippingError.badState(path)) { try ShippingRecord.read(path) }
  }

  @Test("the answer to a request says whether records were taken, and what is worth another try")
  func answers() {
    func delivery(_ status: Int, _ body: String = "{}", after: UInt64? = nil) -> Delivery {
      OTLPCourier.delivery(
        PostAnswer(status: status, body: Array(body.utf8), retryAfter: after, keepsAlive: true),
        rejected: "rejectedLogRecords")
    }
    #expect(delivery(200) == .taken && delivery(202, "") == .taken)
    let partial = #"{"partialSuccess":{"rejectedLogRecords":"3","errorMessage":"old"}}"#
    #expect(delivery(200, partial) == .takenBut(3, "old"))
    #expect(delivery(200, #"{"partialSuccess":{}}"#) == .taken)
    #expect(
      delivery(503, after: 7) == .later("it answers 503", 7000)
        && delivery(429) == .later("it answers 429", 0))
    for status in [301, 401, 403, 404, 500, 502] {
      #expect(delivery(status) == .later("it answers \(status)", 0))
    }
    for status in [400, 413, 422] { #expect(delivery(status) == .refused("it answers \(status)")) }
  }
}

/// Numbers that are the same in every run.
struct Numbers: RandomNumberGenerator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
    return state >> 33
  }
}
