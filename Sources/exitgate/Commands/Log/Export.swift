import ArgumentParser
import Audit
import Glibc
import Review
import Shipping

extension Log {
  /// `exitgate log export`
  struct Export: Verb {
    static let configuration = CommandConfiguration(
      commandName: "export",
      abstract: "Print records as other programs read them.",
      discussion: """
        One document a line, to standard output: ocsf (OCSF 1.8, JSON), ecs (Elastic Common Schema 8.17, JSON), otlp \
        (requests of OTLP/JSON with up to 100 records each) or syslog (RFC 5424, with the record itself as the message). \
        Checkpoints carry their own line in each form, so 'exitgate log verify --checkpoint' can use them later.

          exitgate log export --format ocsf --since 1h >events.jsonl
          exitgate log export --format ecs --reason no-rule --follow
          exitgate log export --format syslog | logger --server logs.example.com --tcp

        To have records taken elsewhere without losing any, use 'exitgate log ship'.
        """)

    @OptionGroup var records: RecordOptions

    @Option(help: ArgumentHelp("In which form: ocsf, ecs, otlp or syslog.", valueName: "form"))
    var format: ExportFormat

    @Flag(name: [.short, .long], help: "Go on with what is written from now on, until interrupted.")
    var follow = false

    func run(in here: Surroundings) throws(Failure) -> Int32 {
      var reader = try records.reader(in: here)
      var export = RecordExport(format: format, source: exportSource(), filter: records.filter)
      while true {
        do { while let line = try reader.next() { export.take(line, here.console) } } catch {
          throw Failure(error)
        }
        export.finish(here.console)
        here.console.flush()
        guard follow else { break }
        // inotify(7) would not tell of a rotation; a quarter of a second is soon enough for what collects.
        usleep(250_000)
      }
      records.warn(of: export.unreadable, on: here.console)
      return 0
    }
  }
}

/// Records on their way to standard output.
private struct RecordExport {
  let format: ExportFormat
  let source: ExportSource
  let filter: RecordFilter
  private(set) var unreadable = 0
  private var batch: [ExportRecord] = []

  init(format: ExportFormat, source: ExportSource, filter: RecordFilter) {
    (self.format, self.source, self.filter) = (format, source, filter)
  }

  mutating func take(_ line: LogLine, _ console: Console) {
    guard let record = ExportRecord(line) else { return unreadable += 1 }
    guard filter.admits(record.record) else { return }
    batch.append(record)
    if batch.count >= format.batchSize { finish(console) }
  }

  mutating func finish(_ console: Console) {
    guard !batch.isEmpty else { return }
    console.result(lines: format.line(for: batch, from: source))
    batch.removeAll(keepingCapacity: true)
  }
}

extension ExportFormat: ExpressibleByArgument {}

/// What exported records say of this host and program.
func exportSource() -> ExportSource {
  var name = [CChar](repeating: 0, count: 256)
  let status = gethostname(&name, name.count - 1)
  let host = name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }
  return ExportSource(
    host: status == 0 ? String(decoding: host, as: UTF8.self) : nil, version: exitgateVersion)
}
