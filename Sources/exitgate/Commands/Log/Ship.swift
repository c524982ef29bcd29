import ArgumentParser
import Audit
import Confinement
import Policy
import Shipping
import TLSClient

extension Log {
  /// `exitgate log ship`
  struct Ship: Verb {
    static let configuration = CommandConfiguration(
      commandName: "ship",
      abstract: "Have every record taken elsewhere, where the agent cannot reach.",
      discussion: """
        Follows the log's files in a process of its own, so nothing that happens to it holds the gate up. To \
        syslog+tls:// it sends RFC 5424 messages over TLS (RFC 5425), each with the record itself; to https:// logs and \
        metrics by OTLP/HTTP in JSON, as the OpenTelemetry collector takes them. The far side's certificate must be \
        good for the host in --to. http:// goes to this machine alone.

          exitgate log ship --to syslog+tls://logs.example.com:6514 --ca ca.pem
          exitgate log ship --to https://otel.example.com:4318 --cert me.pem --key me.key
          exitgate log ship --to http://127.0.0.1:4318 --metrics-from unix:/run/exitgate/metrics.sock
          exitgate log ship --to syslog+tls://logs.example.com:6514 --status

        Each record arrives at least once: the position of the last one that is known to have arrived is kept in a \
        file, and after an outage or a restart what is behind it is sent again (a receiver tells repetitions by number \
        and hash). What retention took away before it was shipped is counted and said. The signed head of the log goes \
        before the records that lead to it, so that from then on none of them can be kept back.

        Exit status: 0 when it was told to stop, or with --once everything was taken; 1 when it was not, or with \
        --status when something is not shipped; 69 without OpenSSL, 78 for wrong configuration.
        """)

    @OptionGroup var auditLog: AuditLogOption

    @Option(
      help: ArgumentHelp(
        "Where to: syslog+tls://HOST[:6514], https://HOST[:4318] or http://HOST[:4318].", valueName: "target"),
      transform: Reading.shippingTarget)
    var to: ShippingTarget

    @Option(
      help: ArgumentHelp(
        "The authorities that may sign the far side's certificate, the system's unless given.",
        valueName: "file"),
      completion: .file(extensions: ["pem", "crt"]))
    var ca: String?

    @Option(
      help: ArgumentHelp("A certificate to show, with its chain; goes with --key.", valueName: "file"),
      completion: .file(extensions: ["pem", "crt"]))
    var cert: String?

    @Option(
      help: ArgumentHelp("The private key of --cert, not encrypted.", valueName: "file"),
      completion: .file(extensions: ["pem", "key"]))
    var key: String?

    @Option(
      help: ArgumentHelp(
        "Where the position is kept; a file for each target in /var/lib/exitgate, or under $XDG_STATE_HOME, unless given.",
        valueName: "file"), completion: .file())
    var state: String?

    @Option(
      help: ArgumentHelp(
        "Where the gate's metrics are read, which go with the logs: what its --metrics-listen says.",
        valueName: "address:port"), transform: Reading.localPlace)
    var metricsFrom: LocalPlace?

    @Option(
      help: ArgumentHelp(
        "An address at which Prometheus reads /metrics of the shipping and probes read /healthz; nowhere unless given. "
          + "Where a rule lets agents reach this machine, write unix:/path.", valueName: "address:port"),
      transform: Reading.listenAddress)
    var metricsListen: ListenAddress?

    @Flag(help: "End when everything is shipped, and at the first failure.")
    var once = false

    @Flag(help: "Let http:// go to other machines, where anybody on the way reads and changes it.")
    var allowPlainHttp = false

    @Flag(help: "Ship nothing; say how far it is, and how far behind the log.")
    var status = false

    @Flag(help: "With --status: print one JSON object.")
    var json = false

    func validate() throws {
      if (cert == nil) != (key == nil) { throw ValidationError("--cert and --key go together.") }
      if !to.isSecure, ca != nil || cert != nil {
        throw ValidationError("--ca, --cert and --key are for targets over TLS. Write https://.")
      }
      if metricsFrom != nil, !to.takesMetrics {
        throw ValidationError(
          "--metrics-from goes with https:// and http:// alone: syslog carries no metrics.")
      }
      if metricsListen != nil, once || status {
        throw ValidationError("--metrics-listen goes with neither --once nor --status.")
      }
      if json, !status { throw ValidationError("--json goes with --status.") }
    }

    func run(in here: Surroundings) throws(Failure) -> Int32 {
      let log = try auditLog.existing(in: here)
      let state = self.state ?? "\(here.paths.state)/\(to.fileName).json"
      if status { return try ShipStatus(log: log, state: state, target: to).show(json, on: here.console) }
      let isAbsolute = log.utf8.first == UInt8(ascii: "/")
      var settings = ShipperSettings(
        log: isAbsolute ? log : "\(here.workingDirectory)/\(log)", state: state, target: to,
        source: exportSource())
      settings.tls = try to.isSecure ? tls() : nil
      (settings.mayLeaveInClear, settings.endsWhenDrained) = (allowPlainHttp, once)
      settings.metrics = metricsFrom
      let monitor = try metricsListen.map { address throws(Failure) in try ShipMonitor(on: address) }
      settings.board = monitor?.board
      do { return try ship(settings, monitor, on: here.console) ? 0 : giveUp(settings) } catch {
        throw Failure(shipping: error)
      }
    }

    private func tls() throws(Failure) -> TLSSettings {
      let identity = cert.flatMap { cert in key.map { TLSSettings.Identity(certificates: cert, key: $0) } }
      do { return try TLSSettings(authorities: ca, identity: identity) } catch {
        if case .noLibrary = error { throw Failure(.host, "\(error)") }
        throw Failure(.configuration, "\(error)")
      }
    }

    private func ship(
      _ settings: ShipperSettings, _ monitor: ShipMonitor?, on console: Console
    ) throws(ShippingError) -> Bool {
      let lock = try ShippingLock(for: settings.state), waiter = Waiter()
      defer { withExtendedLifetime(lock) {} }
      ShippingTarget.loadResolver(for: settings.target)
      confine(settings.state, on: console)
      // Not before: a process that has threads cannot be confined any more.
      let answering = monitor?.start(ofLogAt: settings.log, to: settings.target)
      defer { withExtendedLifetime(answering) {} }
      if monitor != nil, answering == nil {
        console.say("exitgate: warning: --metrics-listen is not answered: no event loop")
      }
      let shipper = try Shipper(settings, waiter: waiter) { console.say("exitgate: \(Text($0))") }
      if !once { console.say("exitgate: shipping \(settings.log) to \(settings.target)") }
      return try shipper.run()
    }

    /// From here on it may write in the directory of its state alone, and start nothing.
    private func confine(_ state: String, on console: Console) {
      do {
        let outcome = try Confinement.apply(.gate(writable: [directory(of: state)]))
        for gap in outcome.warnings { console.say("exitgate: warning: \(Text(gap))") }
      } catch { console.say("exitgate: warning: this process is not confined: \(Text("\(error)"))") }
    }

    private func giveUp(_ settings: ShipperSettings) -> Int32 { once ? Failure.Status.general.rawValue : 0 }
  }
}

extension Failure {
  /// A log or a state that cannot be read or written is configuration.
  init(shipping error: ShippingError) {
    self.init(.configuration, "\(error)")
  }
}
