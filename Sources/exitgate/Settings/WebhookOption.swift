import ArgumentParser
import Gateway
import Policy
import Shipping
import TLSClient
import Webhook

/// How people elsewhere are asked.
struct WebhookOption: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "Where questions are posted, signed: https://HOST/PATH, http://127.0.0.1:PORT/PATH or unix:/SOCKET.",
      valueName: "url"),
    transform: Reading.webhook)
  var webhook: WebhookTarget?

  @Option(
    help: ArgumentHelp(
      "The secret that signs them (HMAC-SHA256), in a file that nobody else may read: openssl rand -hex 32.",
      valueName: "file"),
    completion: .file())
  var webhookSecretFile: String?

  @Option(
    help: ArgumentHelp(
      "An address at which signed answers are taken; nowhere unless given. Out of agents' reach, as --metrics-listen is.",
      valueName: "address:port"),
    transform: Reading.listenAddress)
  var webhookCallbackListen: ListenAddress?

  @Option(
    help: ArgumentHelp(
      "The authorities that may sign the certificate of --webhook, the system's unless given.",
      valueName: "file"),
    completion: .file(extensions: ["pem", "crt"]))
  var webhookCa: String?

  @Flag(help: "Let --webhook http:// leave this machine, where nothing protects the questions.")
  var webhookAllowPlainHttp = false

  func validate() throws {
    guard webhook == nil else {
      if webhookSecretFile == nil { throw ValidationError("--webhook needs --webhook-secret-file.") }
      return
    }
    if webhookSecretFile != nil || webhookCallbackListen != nil || webhookCa != nil || webhookAllowPlainHttp {
      throw ValidationError("The options of a webhook need --webhook.")
    }
  }

  /// Reads the secret and the certificates, while this may still be done.
  func apply(to configuration: inout GateConfiguration) throws(Failure) {
    guard let webhook, let webhookSecretFile else { return }
    let secret: WebhookSecret, tls: TLSSettings?
    do throws(WebhookSecretError) { secret = try WebhookSecret(file: webhookSecretFile) } catch {
      throw Failure(.configuration, "\(error)")
    }
    do throws(TLSSettingsError) {
      tls = webhook.isSecure ? try TLSSettings(authorities: webhookCa) : nil
    } catch {
      throw Failure(.configuration, "\(error)")
    }
    if case .host(let target) = webhook.place { ShippingTarget.loadResolver(for: target) }
    let counters = WebhookCounters()
    let settings = WebhookSettings(
      target: webhook, secret: secret, tls: tls, mayLeaveInClear: webhookAllowPlainHttp,
      version: exitgateVersion,
      counters: counters)
    configuration.callbackListener = webhookCallbackListen
    configuration.webhookCounters = counters
    configuration.onStart = { gate in
      CallbackService(gate, settings).start()
      WebhookService(gate, settings).start()
    }
  }
}

extension Reading {
  /// `https://HOST/PATH`, `http://HOST/PATH` or `unix:/SOCKET`.
  @Sendable static func webhook(_ text: String) throws -> WebhookTarget {
    do { return try WebhookTarget(text) } catch { throw ValidationError(error.description) }
  }
}
