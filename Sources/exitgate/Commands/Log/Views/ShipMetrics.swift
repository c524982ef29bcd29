import Audit
import Policy
import Shipping

/// What monitoring reads of a shipper: text format 0.0.4, as Prometheus names things.
struct ShipMetrics {
  let record: ShippingRecord
  /// nil where the log cannot be read.
  let lag: ShippingLag?
  let target: ShippingTarget

  /// The counters go on over restarts, as the state does.
  var text: String {
    var page = ""
    func add(
      _ name: String, _ kind: String, _ help: String, _ value: some CustomStringConvertible,
      _ labels: String = ""
    ) {
      page += "# HELP exitgate_ship_\(name) \(help)\n# TYPE exitgate_ship_\(name) \(kind)\n"
      page += "exitgate_ship_\(name)\(labels) \(value)\n"
    }
    add("info", "gauge", "Where records go.", 1, "{target=\"\(printable("\(target)"))\"}")
    add("up", "gauge", "Whether the target took what it was sent last.", record.failingSince == nil ? 1 : 0)
    add("shipped_records_total", "counter", "Records that the target has taken.", record.shipped)
    add("resent_records_total", "counter", "Records that were sent once more.", record.resent)
    add("refused_records_total", "counter", "Records that the target refused for good.", record.refused)
    add(
      "lost_records_total", "counter", "Records that were gone from the log before they were shipped.",
      record.lost)
    add("unreadable_lines_total", "counter", "Lines of the log that are no records.", record.unreadable)
    add(
      "rewritten_logs_total", "counter", "How often the log was not the one that was shipped before.",
      record.rewritten)
    if let time = record.confirmedAt {
      add(
        "last_success_timestamp_seconds", "gauge", "When the target last took records.",
        Double(time.milliseconds) / 1000)
    }
    if let lag {
      add("lag_records", "gauge", "Records that are not shipped.", lag.records)
      let age = lag.oldest.map { max(0, wallClock().milliseconds - $0.milliseconds) } ?? 0
      add("lag_seconds", "gauge", "Age of the oldest of them.", Double(age) / 1000)
    }
    return page
  }
}
