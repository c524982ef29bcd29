import EventLoop
import Testing

@testable import Gateway

@Suite("Who follows is asked whether he lives")
struct LivenessTests {
  private let start = MonotonicTime.now()

  @Test("Each 10 s he is asked, and 35 s after his last answer he does not count, until he answers")
  func life() {
    var life = Liveness(since: start)
    #expect(!life.isDue(at: start + .milliseconds(9999)) && life.isDue(at: start + .seconds(10)))
    life.ask(7, at: start + .seconds(10))
    #expect(life.beat == 7 && !life.isDue(at: start + .seconds(19)))
    life.look(at: start + .milliseconds(34_999))
    #expect(life.isAlive)
    life.look(at: start + .seconds(35))
    #expect(!life.isAlive)
    life.hear(at: start + .seconds(36))
    life.look(at: start + .seconds(70))
    #expect(life.isAlive)
    life.look(at: start + .seconds(71))
    #expect(!life.isAlive)
  }
}
