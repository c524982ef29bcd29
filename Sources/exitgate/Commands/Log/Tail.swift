import ArgumentParser
import Audit
import Glibc
import Review

extension Log {
  /// `exitgate log tail`
  struct Tail: Verb {
    static let configuration = CommandConfiguration(
      commandName: "tail",
      abstract: "Show the latest records, one line each.",
      discussion: """
        Time, what happened, who, where to, why. With --json each line is the record as it stands in the log.

          exitgate log tail --follow
          exitgate log tail --since 10m --reason no-rule
          exitgate log tail --json --lines 1 | jq .
        """)

    @OptionGroup var records: RecordOptions

    @Option(
      name: [.customShort("n"), .customLong("lines")],
      help: ArgumentHelp(
        "How many records at most: 50, or with --since all, unless given.", valueName: "number"))
    var lines: Int?

    @Flag(name: [.short, .long], help: "Go on with what is written from now on, until interrupted.")
    var follow = false

    @Flag(help: "Print the records as they stand in the log.")
    var json = false

    func validate() throws {
      if let lines, lines < 0 { throw ValidationError("--lines takes 0 or more.") }
    }

    func run(in here: Surroundings) throws(Failure) -> Int32 {
      var reader = try records.reader(in: here)
      let isWhole = lines == nil && records.since != nil
      var latest = Latest(limit: lines ?? 50), unreadable = 0
      try forEachLine(of: &reader) { line in
        // Without a filter only what is shown is parsed.
        guard records.filter.isOpen || admits(line, &unreadable) else { return }
        if isWhole { show(line, on: here.console, &unreadable) } else { latest.add(line) }
      }
      for line in latest.lines { show(line, on: here.console, &unreadable) }
      records.warn(of: unreadable, on: here.console)
      if follow { try follow(&reader, on: here.console) }
      return 0
    }

    private func follow(_ reader: inout LogReader, on console: Console) throws(Failure) {
      var unreadable = 0
      while true {
        console.flush()
        // inotify(7) would not tell of a rotation; a quarter of a second is soon enough for people.
        usleep(250_000)
        try forEachLine(of: &reader) { line in
          if admits(line, &unreadable) { show(line, on: console, &unreadable) }
        }
      }
    }

    private func forEachLine(of reader: inout LogReader, _ body: (LogLine) -> Void) throws(Failure) {
      do { while let line = try reader.next() { body(line) } } catch { throw Failure(error) }
    }

    private func admits(_ line: LogLine, _ unreadable: inout Int) -> Bool {
      guard let record = try? LogRecord(line) else {
        unreadable += 1
        return false
      }
      return records.filter.admits(record)
    }

    private func show(_ line: LogLine, on console: Console, _ unreadable: inout Int) {
      if json { return console.result(lines: line.text) }
      guard let record = try? LogRecord(line) else { return unreadable += 1 }
      console.result(record)
    }
  }
}

/// The last so many lines.
private struct Latest {
  private var ring: [LogLine] = []
  private var start = 0
  private let limit: Int

  init(limit: Int) {
    self.limit = limit
  }

  var lines: [LogLine] { Array(ring[start...] + ring[..<start]) }

  mutating func add(_ line: LogLine) {
    guard limit > 0 else { return }
    guard ring.count == limit else { return ring.append(line) }
    ring[start] = line
    start = (start + 1) % limit
  }
}
