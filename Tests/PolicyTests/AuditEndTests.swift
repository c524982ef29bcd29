import Policy
import Testing

@Suite("CTL-16: audit mode has an end")
struct AuditEndTests {
  @Test(
    "it ends at its time and not before, once",
    arguments: [
      (Mode.audit, -1, false, Mode.audit, "a millisecond is left"),
      (.audit, 0, true, .enforce, "this is the time"),
      (.audit, 1, true, .enforce, "it is over"),
      (.enforce, 1, false, .enforce, "nothing was only watched"),
    ])
  func ends(mode: Mode, late: Int64, ends: Bool, after: Mode, because: Comment) {
    var policy = Policy(mode: mode)
    policy.auditUntil = now
    let time = Timestamp(milliseconds: now.milliseconds + late)
    #expect(policy.endAudit(at: time) == ends, because)
    #expect(policy.mode == after && policy.auditUntil == now)
    #expect(!policy.endAudit(at: time) || !ends)
  }

  @Test("without an end it goes on")
  func endless() {
    var policy = Policy(mode: .audit)
    #expect(!policy.endAudit(at: Timestamp(milliseconds: .max)) && policy.mode == .audit)
  }
}
