import Testing

@testable import Gateway

/// Metrics as text.
@Suite struct ExpositionTests {
  @Test("a family has its help, its kind and its samples, and no family is empty")
  func family() {
    var page = Exposition()
    page.add("a_total", .counter, "Counts.", [.init(3, ("x", "1\"\\\n"), ("y", "2"))])
    page.add("none", .gauge, "Nothing.", [])
    page.add("b", .gauge, "Measures.", [.init(0.25)])
    #expect(
      page.text == """
        # HELP exitgate_a_total Counts.
        # TYPE exitgate_a_total counter
        exitgate_a_total{x="1\\"\\\\\\n",y="2"} 3
        # HELP exitgate_b Measures.
        # TYPE exitgate_b gauge
        exitgate_b 0.25

        """)
  }

  @Test("a histogram counts what is at most a bound, and everything in the last line")
  func histogram() {
    var times = Histogram()
    for time in [Duration.microseconds(100), .milliseconds(3), .seconds(60), .zero] { times.add(time) }
    var page = Exposition()
    page.add("t_seconds", "Times.", times)
    let lines = page.text.split(separator: "\n")
    #expect(lines.contains("exitgate_t_seconds_bucket{le=\"0.0001\"} 2"))
    #expect(lines.contains("exitgate_t_seconds_bucket{le=\"0.0025\"} 2"))
    #expect(lines.contains("exitgate_t_seconds_bucket{le=\"0.005\"} 3"))
    #expect(lines.contains("exitgate_t_seconds_bucket{le=\"10.0\"} 3"))
    #expect(lines.contains("exitgate_t_seconds_bucket{le=\"+Inf\"} 4"))
    #expect(lines.contains("exitgate_t_seconds_count 4"))
    #expect(lines.contains("exitgate_t_seconds_sum 60.0031"))
  }

  @Test("sums of histograms are histograms of all")
  func sums() {
    var left = Histogram(), right = Histogram()
    left.add(.milliseconds(1))
    right.add(.seconds(20))
    var both = Histogram()
    both.add(left)
    both.add(right)
    both.add(Histogram())
    #expect(both.count == 2)
    #expect(both.counts.last == 1)
  }
}
