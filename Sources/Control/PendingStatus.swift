import Audit

/// A question that waits for a person, as the control socket and `exitgate pending --json` show it.
public struct PendingStatus: Hashable, Sendable {
  /// One of what it is about.
  public struct Place: Hashable, Sendable {
    /// The name, or the address.
    public var host: String
    /// The port.
    public var port: Int
    /// As rules name it.
    public var traffic: String
    /// The method and the path, where the rule that asks looks at them.
    public var method: String?
    public var path: String?
    /// The rule that asks; nil where the policy's default does.
    public var rule: String?
    /// The exact rule that 'always' would add, a line of YAML; nil where none says exactly this.
    public var candidate: String?
    /// What an approval opens beside public addresses, in words.
    public var leave: [String] = []

    /// Makes a place.
    public init(
      host: String, port: Int, traffic: String, method: String? = nil, path: String? = nil,
      rule: String? = nil, candidate: String? = nil
    ) {
      self.host = host
      self.port = port
      self.traffic = traffic
      self.method = method
      self.path = path
      self.rule = rule
      self.candidate = candidate
    }
  }

  /// What it is called.
  public var id: String
  /// Whose it is.
  public var agent: String
  /// What it is about; several where questions of one domain were joined.
  public var places: [Place]
  /// How many more were asked for and denied, since they did not fit.
  public var more: UInt64 = 0
  /// The registered domain of its names.
  public var domain: String?
  /// When it was first asked, RFC 3339.
  public var since: String
  /// When it was last asked, RFC 3339.
  public var last: String
  /// How often it was asked.
  public var count: UInt64
  /// How many connections are held for it.
  public var waiting: Int
  /// Until when the connection is held that is held longest, RFC 3339; nil where none is.
  public var heldUntil: String?
  /// When the question is over if it is not asked again, RFC 3339.
  public var expires: String?
  /// Its addresses, where somebody knew them.
  public var addresses: [String] = []
  /// The program that asks and where it runs, where the kernel says; bytes of the agent's.
  public var program: String?
  public var workingDirectory: String?
  /// The program's process when it asked.
  public var processID: Int32?
  /// The policy it is asked under; an answer names it.
  public var generation: UInt64
  /// Stands for exactly what is shown; an answer names it.
  public var digest: String
  /// What may be answered.
  public var offers: [String]

  /// Makes a status.
  public init(
    id: String, agent: String, places: [Place], domain: String? = nil, since: String, last: String,
    count: UInt64, waiting: Int, generation: UInt64, digest: String, offers: [String]
  ) {
    self.id = id
    self.agent = agent
    self.places = places
    self.domain = domain
    self.since = since
    self.last = last
    self.count = count
    self.waiting = waiting
    self.generation = generation
    self.digest = digest
    self.offers = offers
  }
}

/// Something that stands approved, or that was answered for good.
public struct GrantStatus: Hashable, Sendable {
  /// What takes it back.
  public var id: String
  /// `time`, `session`, `once` or `always`; `asking-ended` for what was refused too often.
  public var scope: String
  /// Whether it lets pass; false for what is refused for good.
  public var isAllowing: Bool
  /// Whose it is; nil for a written rule about everybody.
  public var agent: String?
  /// What it is about, `https://host:443`, or what the written rule says.
  public var places: [String]
  /// When it was given, and when it ends, RFC 3339, where it is known.
  public var given: String?
  public var expires: String?
  /// Who gave it.
  public var by: String?

  /// Makes a status.
  public init(
    id: String, scope: String, isAllowing: Bool, agent: String?, places: [String], given: String? = nil,
    expires: String? = nil, by: String? = nil
  ) {
    self.id = id
    self.scope = scope
    self.isAllowing = isAllowing
    self.agent = agent
    self.places = places
    self.given = given
    self.expires = expires
    self.by = by
  }
}

/// What people are asked and have answered, counted since the start.
public struct AskingStatus: Hashable, Sendable {
  /// Questions that wait.
  public var pending: Int
  /// Ways by which somebody can be asked now: who follows, the page, a webhook.
  public var channels: Int
  /// Answers that let something pass.
  public var allowed: UInt64
  /// Answers that did not.
  public var refused: UInt64
  /// Whether the programs that ask are seen; nil where nothing is asked.
  public var witness: WitnessStatus?

  /// Makes a status.
  public init(pending: Int = 0, channels: Int = 0, allowed: UInt64 = 0, refused: UInt64 = 0) {
    self.pending = pending
    self.channels = channels
    self.allowed = allowed
    self.refused = refused
  }
}

/// Whether it is seen which programs ask.
public struct WitnessStatus: Hashable, Sendable {
  /// Whether somebody looks.
  public var isRunning: Bool
  /// The same for people, with what to do where nobody does.
  public var sentence: String

  /// Makes a status.
  public init(isRunning: Bool, sentence: String) {
    (self.isRunning, self.sentence) = (isRunning, sentence)
  }
}

/// How a question ended.
public struct ClosedStatus: Hashable, Sendable {
  /// What the question was called.
  public var id: String
  /// `allowed`, `refused`, `expired`, `joined`, `superseded` or `stopped`.
  public var outcome: String
  /// The same for people.
  public var sentence: String

  /// Makes a status.
  public init(id: String, outcome: String, sentence: String) {
    self.id = id
    self.outcome = outcome
    self.sentence = sentence
  }
}

// MARK: - JSON

extension PendingStatus {
  /// Why there are no addresses.
  public static let unknownAddresses = "not looked up before it is allowed"

  /// The JSON object that stands for it on the control socket and in `exitgate pending --json`: of what it is
  /// about, the first place stands in the object itself.
  public var json: JSONValue {
    let first = places.first.map(\.members) ?? []
    let members: [JSONValue.Member] =
      [.init("id", .string(id)), .init("agent", .string(agent))] + first + [
        .init("domain", optional(domain)), .init("since", .string(since)), .init("last", .string(last)),
        .init("count", Control.count(count)), .init("waiting", .integer(Int64(waiting))),
        .init("held_until", optional(heldUntil)), .init("expires", optional(expires)),
        .init("addresses", .array(addresses.map { .string($0) })),
        .init("addresses_note", optional(addresses.isEmpty ? Self.unknownAddresses : nil)),
        .init("program", optional(program)),
        .init("cwd", optional(workingDirectory)),
        .init("pid", processID.map { .integer(Int64($0)) } ?? .null),
        .init("generation", Control.count(generation)),
        .init("digest", .string(digest)), .init("offers", .array(offers.map { .string($0) })),
        .init("joined", .array(places.dropFirst().map { .object($0.members) })),
        .init("more", Control.count(more)),
      ]
    return .object(members)
  }

  init(_ fields: Fields) throws(ControlError) {
    self.init(
      id: try fields.text("id"), agent: try fields.text("agent"),
      places: [try Place(fields)] + (try fields.list("joined", Place.init)),
      domain: try fields.text(ifPresent: "domain"), since: try fields.text("since"),
      last: try fields.text("last"), count: try fields.count("count"), waiting: try fields.number("waiting"),
      generation: try fields.count("generation"), digest: try fields.text("digest"),
      offers: try fields.texts("offers"))
    heldUntil = try fields.text(ifPresent: "held_until")
    expires = try fields.text(ifPresent: "expires")
    addresses = try fields.texts("addresses")
    more = try fields.count("more")
    program = try fields.text(ifPresent: "program")
    workingDirectory = try fields.text(ifPresent: "cwd")
    processID = try fields.number(ifPresent: "pid").map { Int32(clamping: $0) }
  }
}

extension PendingStatus.Place {
  fileprivate var members: [JSONValue.Member] {
    [
      .init("host", .string(host)), .init("port", .integer(Int64(port))), .init("protocol", .string(traffic)),
      .init("method", whole(method)), .init("path", whole(path)), .init("rule", whole(rule)),
      .init("candidate_rule", whole(candidate)), .init("leave", .array(leave.map { .string($0) })),
    ]
  }

  fileprivate init(_ fields: Fields) throws(ControlError) {
    self.init(
      host: try fields.text("host"), port: try fields.number("port"), traffic: try fields.text("protocol"),
      method: try fields.text(ifPresent: "method"), path: try fields.text(ifPresent: "path"),
      rule: try fields.text(ifPresent: "rule"), candidate: try fields.text(ifPresent: "candidate_rule"))
    leave = try fields.texts("leave")
  }
}

extension AskingStatus {
  var json: JSONValue {
    .object([
      .init("pending", .integer(Int64(pending))), .init("channels", .integer(Int64(channels))),
      .init("allowed", Control.count(allowed)), .init("refused", Control.count(refused)),
      .init(
        "witness",
        witness.map {
          .object([.init("running", .bool($0.isRunning)), .init("sentence", text($0.sentence))])
        } ?? .null),
    ])
  }

  init(_ fields: Fields) throws(ControlError) {
    self.init(
      pending: try fields.number("pending"), channels: try fields.number("channels"),
      allowed: try fields.count("allowed"), refused: try fields.count("refused"))
    guard let seen = try fields.fields(ifPresent: "witness") else { return }
    witness = WitnessStatus(
      isRunning: try seen.flag("running"), sentence: try seen.text("sentence"))
  }
}

extension GrantStatus {
  /// The JSON object that stands for it on the control socket and in `exitgate pending --granted --json`.
  public var json: JSONValue {
    .object([
      .init("id", .string(id)), .init("scope", .string(scope)), .init("allows", .bool(isAllowing)),
      .init("agent", optional(agent)), .init("places", .array(places.map { .string($0) })),
      .init("given", optional(given)), .init("expires", optional(expires)), .init("by", optional(by)),
    ])
  }

  init(_ fields: Fields) throws(ControlError) {
    self.init(
      id: try fields.text("id"), scope: try fields.text("scope"), isAllowing: try fields.flag("allows"),
      agent: try fields.text(ifPresent: "agent"), places: try fields.texts("places"),
      given: try fields.text(ifPresent: "given"), expires: try fields.text(ifPresent: "expires"),
      by: try fields.text(ifPresent: "by"))
  }
}

extension ClosedStatus {
  /// The JSON object that stands for it on the control socket and in what follows.
  public var json: JSONValue {
    .object([.init("id", .string(id)), .init("outcome", .string(outcome)), .init("sentence", text(sentence))])
  }

  init(_ fields: Fields) throws(ControlError) {
    self.init(
      id: try fields.text("id"), outcome: try fields.text("outcome"), sentence: try fields.text("sentence"))
  }
}

/// Text that stands for what is allowed, so that no end of it may be missing; a path is as long as a head, at most.
private func whole(_ text: String?) -> JSONValue { text.map { .string($0) } ?? .null }
