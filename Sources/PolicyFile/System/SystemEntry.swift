import Addressing

/// A source that a package manager is set up to use.
struct SystemEntry: Hashable {
  var host: Host
  var port: Port
  var traffic: TrafficProtocol
  /// What it is for, in a few words.
  var purpose: String
  /// Where it was read: a path, or `environment NAME`.
  var origin: String
  /// Whether the machine's owner named it. What an agent may write itself (a
  /// file of the working directory), or a tool's default, opens no private range.
  var isTrusted: Bool
}

/// Something that a system list left out, and what to do about it.
struct SystemNote: Hashable {
  var cause: String
  var remedy: String
  /// Whether it only says that something is not there, which nobody asked for
  /// who included a built-in list that includes this one.
  var isAbsence = false
}

/// Collects what one system list finds.
struct SystemFindings {
  /// How many sources one list gives at most, and half of how many notes: an agent may
  /// be able to write some of the files.
  static let limit = 256

  let machine: Machine
  private(set) var entries: [SystemEntry] = []
  /// Whether there were more entries than count.
  private(set) var isCut = false
  var notes: [SystemNote] = []

  init(_ machine: Machine) {
    self.machine = machine
  }

  /// Reads a text file; see `Machine.text`.
  mutating func text(_ path: String?, limit: Int = Composer.sizeLimit) -> String? {
    path.flatMap { machine.text($0, &notes, limit: limit) }
  }

  mutating func note(_ cause: String, _ remedy: String) {
    guard notes.count < 2 * Self.limit else { return }
    notes.append(SystemNote(cause: cause, remedy: remedy))
  }

  /// Notes that something was not found.
  mutating func noteAbsence(_ cause: String, _ remedy: String) {
    notes.append(SystemNote(cause: cause, remedy: remedy, isAbsence: true))
  }

  /// Takes the host of a URL; one that no rule can speak of is noted.
  mutating func add(
    url text: some StringProtocol, for purpose: String, from origin: String, isTrusted: Bool = true
  ) {
    guard let location = Location(url: String(text)) else {
      note(
        "\(quoted(redacted(String(text)))) in \(origin) names no host that a rule can speak of",
        "Add a rule of your own if it is needed")
      return
    }
    add(location, for: purpose, from: origin, isTrusted: isTrusted)
  }

  mutating func add(_ location: Location, for purpose: String, from origin: String, isTrusted: Bool) {
    if isLoopback(location.authority.host) {
      note(
        "\(location.authority) in \(origin) is this machine itself",
        "Add a rule of your own with 'allow-loopback: true'")
      return
    }
    let entry = SystemEntry(
      host: location.authority.host, port: location.authority.port, traffic: location.traffic,
      purpose: purpose,
      origin: origin, isTrusted: isTrusted)
    guard !entries.contains(entry) else { return }
    guard entries.count < Self.limit else {
      isCut = true
      return
    }
    entries.append(entry)
  }
}

private func isLoopback(_ host: Host) -> Bool {
  switch host {
  case .name(let name): name.text == "localhost" || (try? Hostname("localhost")).map(name.isBelow) ?? false
  case .address(let address): address.addressClass == .loopback
  }
}

/// A URL without what must not be shown: user, password, query.
private func redacted(_ text: String) -> String {
  guard let at = text.utf8.lastIndex(of: UInt8(ascii: "@")) else { return text }
  return "…" + text[at...]
}
