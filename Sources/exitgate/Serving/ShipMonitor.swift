import Audit
import EventLoop
import Pages
import Policy
import Shipping

/// Answers `/metrics` and `/healthz` beside a shipper, on a thread of its own.
struct ShipMonitor {
  /// What the shipper writes on.
  let board = ShippingBoard()
  private let server: PageServer

  /// Listens, and answers nobody yet.
  ///
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
  }

  /// Answers from now on, for as long as what it returns is kept; nil where there is no loop to do it.
  func start(ofLogAt log: String, to target: ShippingTarget) -> EventLoop? {
    guard let loop = try? EventLoop(label: "ship.metrics") else { return nil }
    server.start(on: loop) { [board] request, answer in
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
        let isTaken = record.failingSince == nil
        answer(.text(isTaken ? 200 : 503, isTaken ? "ok" : "the target takes nothing"))
      default: answer(.text(404, "there are /metrics and /healthz"))
      }
    }
    return loop
  }
}
