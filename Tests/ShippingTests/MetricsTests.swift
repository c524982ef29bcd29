import Foundation
import Testing

@testable import Audit
@testable import Shipping

@Suite struct MetricsTests {
  static let page = """
    # HELP exitgate_uptime_seconds Time since the start.
    # TYPE exitgate_uptime_seconds gauge
    exitgate_uptime_seconds 12.5
    # HELP exitgate_decisions_total Decisions.
    # TYPE exitgate_decisions_total counter
    exitgate_decisions_total{verdict="deny",reason="no-rule",layer="connect"} 3
    exitgate_decisions_total{verdict="allow",reason="a\\\\b\\"c\\nd",layer="x=\\"y,z"} 4
    # HELP exitgate_connect_duration_seconds From request to upstream.
    # TYPE exitgate_connect_duration_seconds histogram
    exitgate_connect_duration_seconds_bucket{le="0.1"} 1
    exitgate_connect_duration_seconds_bucket{le="1.0"} 4
    exitgate_connect_duration_seconds_bucket{le="+Inf"} 5
    exitgate_connect_duration_seconds_sum 7.25
    exitgate_connect_duration_seconds_count 5
    no metric
    exitgate_foreign 1

    """

  @Test("what a gate tells Prometheus is read whole, and nothing else")
  func text() throws {
    let page = MetricsText(Array(Self.page.utf8))
    #expect(
      page.families.map(\.name) == [
        "exitgate_uptime_seconds", "exitgate_decisions_total", "exitgate_connect_duration_seconds",
      ])
    #expect(page.families.map(\.samples.count) == [1, 2, 5])
    let labels = page.families[1].samples[1].labels
    #expect(labels.map(\.value) == ["allow", "a\\b\"c\nd", "x=\"y,z"])
    for bad in ["x{a=b} 1", "x{a=\"b 1", "x{ 1", "x nan", "{} 1", "x{a=\"b\"} inf"] {
      #expect(
        MetricsText(Array("# HELP x y z\n# TYPE x gauge\n\(bad)\n".utf8)).families.first?.samples.isEmpty
          == true, "\(bad)")
    }
  }

  @Test(
    "counters, gauges and histograms become those of OTLP; counts up to a bound become counts between bounds")
  func otlp() throws {
    var metrics = OTLPMetrics(from: SampleLog.source)
    #expect(metrics.request == nil)
    metrics.add(MetricsText(Array(Self.page.utf8)), at: SampleLog.now)
    let request = try parsed(compact(try #require(metrics.request)))
    let resource = try #require((request["resourceMetrics"] as? [[String: Any]])?.first)
    let all = try #require(
      ((resource["scopeMetrics"] as? [[String: Any]])?.first)?["metrics"] as? [[String: Any]])
    #expect(all.count == 3)
    let sum = try #require(all[1]["sum"] as? [String: Any]),
      histogram = try #require(all[2]["histogram"] as? [String: Any])
    #expect(sum["isMonotonic"] as? Bool == true && sum["aggregationTemporality"] as? Int == 2)
    let points = try #require(sum["dataPoints"] as? [[String: Any]])
    #expect(points.map { $0["asInt"] as? String } == ["3", "4"])
    #expect(points[0]["startTimeUnixNano"] as? String == "1795599987623000000")
    let point = try #require((histogram["dataPoints"] as? [[String: Any]])?.first)
    #expect(
      point["bucketCounts"] as? [String] == ["1", "3", "1"]
        && point["explicitBounds"] as? [Double] == [0.1, 1])
    #expect(point["count"] as? String == "5" && point["sum"] as? Double == 7.25)
  }
}
