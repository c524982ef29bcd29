import Audit
import EventLoop
import Pages
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

/// Answers `/metrics` and `/healthz` beside a shipper, on a thread of its own.
struct ShipMonitor {
  private let server: PageServer
  private let loop: EventLoop

  /// - Throws: `Failure` when it cannot listen.
  init(on address: ListenAddress) throws(Failure) {
    let place: BindAddress =
      switch address {
      case .tcp(let endpoint): .tcp(endpoint)
      case .unix(let path): .unix(path: path, mode: 0o660)
      }
    do throws(ListenError) { server = PageServer(try Listener.bind(place)) } catch {
      throw Failure(.configuration, "\(error)")
    }
    do { loop = try EventLoop(label: "ship.metrics") } catch {
      throw Failure(.host, "no event loop: \(error).")
    }
  }

  /// Answers from now on.
  func start(_ board: ShippingBoard, ofLogAt log: String, to target: ShippingTarget) {
    server.start(on: loop) { request, answer in
      guard request.method == "GET" || request.method == "HEAD" else {
        var refusal = PageAnswer.text(405, "only GET and HEAD are answered")
        refusal.fields = [("Allow", "GET, HEAD")]
        return answer(refusal)
      }
      guard let record = board.record else { return answer(.text(503, "nothing is known yet")) }
      switch request.path {
      case "/metrics":
        let lag = try? ShippingLag(behind: record.position, ofLogAt: log)
        let text = ShipMetrics(record: record, lag: lag, target: target).text
        answer(PageAnswer(type: "text/plain; version=0.0.4; charset=utf-8", body: Array(text.utf8)))
      case "/healthz":
        answer(
          .text(
            record.failingSince == nil ? 200 : 503,
            record.failingSince == nil ? "ok" : "the target takes nothing"))
      default: answer(.text(404, "there are /metrics and /healthz"))
      }
    }
  }
}
