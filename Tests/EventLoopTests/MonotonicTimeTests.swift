import EventLoop
import Testing

@Suite struct MonotonicTimeTests {
  @Test("the clock's arithmetic holds at its ends instead of trapping")
  func ends() {
    let end = MonotonicTime(nanoseconds: .max), start = MonotonicTime(nanoseconds: 0)
    #expect(end + .seconds(1) == end)
    #expect(start + .seconds(-1) == start)
    #expect(start + .seconds(Int64.max) > start)
    #expect(end - start > .zero)
    #expect(start - end < .zero)
    #expect(start + .milliseconds(3) - start == .milliseconds(3))
  }
}
