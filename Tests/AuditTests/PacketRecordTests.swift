import Addressing
import LogFixtures
import Policy
import Testing

@testable import Audit

@Suite("Records about packets")
struct PacketRecordTests {
  private static func packet(_ destination: Destination?, detail: String?) -> DecisionRecord {
    DecisionRecord(
      time: Timestamp(milliseconds: 1000), flow: 7, agent: .default, client: "10.66.0.2",
      destination: destination, layer: .kernel, verdict: .deny, reason: .oddPacket, generation: 1,
      detail: detail)
  }

  @Test("AUD-06 a packet is said to be of the protocol that it is of, and of none where rules know none")
  func transport() throws {
    let address = try #require(IPAddress("11.66.0.66")), port = try #require(Port(443))
    let records = try DNSRecordTests.written([
      .decision(Self.packet(nil, detail: "icmp type 8 code 0")),
      .decision(Self.packet(Destination(.address(address), port, .udp), detail: nil)),
      .decision(Self.packet(Destination(.address(address), port, .tcp), detail: nil)),
    ])
    let names = records.map { $0.json["connection_info"]?["protocol_name"]?.text }
    #expect(names == [nil, "udp", "tcp"])
    #expect(records.allSatisfy { $0.reason == "odd-packet" && $0.flow == "7" })
  }

  @Test("AUD-06 what was lost says whose it was, why it was held back, and how many there were")
  func losses() throws {
    let records = try DNSRecordTests.written([
      .lifecycle(
        LifecycleRecord(
          time: Timestamp(milliseconds: 1000), event: .notice, detail: "packets", agent: .default,
          reason: "spoofed-source", counts: [("events_lost", 12)]))
    ])
    let record = try #require(records.first)
    #expect(record.agent == "default" && record.reason == "spoofed-source" && record.event == "notice")
    #expect(record.json["unmapped"]?["events_lost"] == .integer(12))
    #expect(!record.isBlocked, "it is no decision about a place")
  }
}
