import Audit
import Policy
import Shipping

/// How far a log is shipped to one target.
struct ShipStatus {
  let record: ShippingRecord?
  let lag: ShippingLag
  let target: ShippingTarget

  init(log: String, state: String, target: ShippingTarget) throws(Failure) {
    self.target = target
    do { record = try ShippingRecord.read(state) } catch { throw Failure(shipping: error) }
    do { lag = try ShippingLag(behind: record?.position, ofLogAt: log) } catch { throw Failure(error) }
  }

  /// Prints it.
  ///
  /// - Returns: 0 when everything is shipped, else 1.
  func show(_ isJSON: Bool, on console: Console) -> Int32 {
    if isJSON { console.result(json) } else { page.forEach(console.result) }
    return lag.records == 0 ? 0 : Failure.Status.general.rawValue
  }

  private var page: [Text] {
    var lines: [Text] = []
    let shipped = record?.position?.sequence ?? 0
    let state =
      lag.records == 0 ? Text("up to date", .good) : Text("\(count(lag.records, "record")) behind", .doubtful)
    lines.append("\(target): \(state), shipped through record \(shipped) of \(lag.lastSequence ?? 0)")
    if let oldest = lag.oldest { lines.append("the oldest that is not shipped is of \(oldest)") }
    guard let record else { return lines + ["nothing was ever shipped there from here"] }
    if let time = record.confirmedAt { lines.append("last taken at \(time)") }
    if let since = record.failingSince {
      lines.append("\(Text("takes nothing", .bad)) since \(since): \(record.cause ?? "")")
    }
    lines.append(
      "\(record.shipped) shipped, \(record.resent) sent again, \(record.refused) refused, \(record.lost) gone before they were shipped, \(count(record.unreadable, "line")) that are no records"
    )
    if record.rewritten > 0 {
      lines.append(
        "\(Text("THE LOG WAS REWRITTEN", .bad)): \(count(record.rewritten, "time")) it was not the one shipped before"
      )
    }
    return lines
  }

  private var json: JSONValue {
    let kept = (record?.json.members ?? []).filter { $0.name != "version" }
    return .object(
      [
        .init("target", .string("\(target)")),
        .init("last_seq", lag.lastSequence.map { number($0) } ?? .null),
        .init("lag_records", number(lag.records)),
        .init(
          "lag_seconds",
          lag.oldest.map { .integer(max(0, (wallClock().milliseconds - $0.milliseconds) / 1000)) }
            ?? .integer(0)),
      ] + kept)
  }

  private func number(_ value: UInt64) -> JSONValue { .integer(Int64(clamping: value)) }
}
