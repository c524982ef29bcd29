/// What a decision says of the person behind it.
public struct ApprovalMark: Hashable, Sendable {
  /// The question's id, or that of the rule that was written down.
  public var id: String
  /// How far the answer goes: `once`, `time`, `session` or `always`; nil while there is none.
  public var scope: String?
  /// By what the person answered.
  public var channel: String?
  /// The user, as the kernel says.
  public var userID: UInt32?
  /// The name that the channel gives.
  public var name: String?

  /// Makes a mark.
  public init(
    id: String, scope: String? = nil, channel: String? = nil, userID: UInt32? = nil, name: String? = nil
  ) {
    self.id = id
    self.scope = scope
    self.channel = channel
    self.userID = userID
    self.name = name
  }

  func encode(into json: inout JSONWriter) {
    json.object("approval") { json in
      json.field("id", id)
      if let scope { json.field("scope", scope) }
      if let channel { json.field("channel", channel) }
      if let userID {
        json.key("uid")
        json.integer(userID)
      }
      if let name { json.field("name", name) }
    }
  }
}

/// Who was behind a connection, as the kernel said when it asked. Its text is the client's own.
public struct ProgramMark: Hashable, Sendable {
  /// Its command line.
  public var command: String
  /// The file that runs, as the kernel names it; nil where that is not known of one process alone.
  public var file: String?
  /// Where it ran.
  public var directory: String
  /// Its process.
  public var processID: Int32?

  /// Makes a mark.
  public init(command: String, file: String? = nil, directory: String, processID: Int32? = nil) {
    (self.command, self.file, self.directory, self.processID) = (command, file, directory, processID)
  }

  /// The last part of the file's path, by which reviews name it.
  var name: String? {
    file?.split(separator: "/").last.map(String.init)
  }

  /// As the one who acted.
  ///
  /// - Source: OCSF 1.8.0, objects actor, process and file; `type_id` 1 is a regular file.
  func encodeAsActor(into json: inout JSONWriter) {
    json.object("actor") { json in
      json.object("process") { json in
        if let name { json.field("name", name) }
        if let processID {
          json.key("pid")
          json.integer(processID)
        }
        json.field("cmd_line", command)
        if let file, let name { Self.encode(file, named: name, into: &json) }
        json.field("working_directory", directory)
      }
    }
  }

  private static func encode(_ file: String, named name: String, into json: inout JSONWriter) {
    json.object("file") { json in
      json.field("name", name)
      json.field("path", file)
      json.verbatim(#""type_id":1"#)
    }
  }

  /// As the one whom a person was asked about; the actor is that person then.
  func encode(into json: inout JSONWriter) {
    json.object("program") { json in
      json.field("command", command)
      json.field("cwd", directory)
      if let processID {
        json.key("pid")
        json.integer(processID)
      }
    }
  }
}

/// A person's answer, as the log keeps it beside who gave it.
public struct AnswerFacts: Hashable, Sendable {
  /// By what the person answered.
  public var channel: String
  /// The name that the channel gives.
  public var name: String?
  /// How far it goes.
  public var scope: String
  /// Whom it is about.
  public var agent: String
  /// All that it is about, as `https://host:443`; the first 20 are written.
  public var destinations: [String]
  /// The policy it was given under.
  public var generation: UInt64
  /// What was shown, as the answer had to name it.
  public var digest: String
  /// The rule that was written down.
  public var rule: String?
  /// What the person wrote beside it.
  public var note: String?
  /// Who asked, as the person was shown.
  public var program: ProgramMark?

  /// Makes the facts.
  public init(
    channel: String, name: String? = nil, scope: String, agent: String, destinations: [String],
    generation: UInt64, digest: String, rule: String? = nil, note: String? = nil
  ) {
    self.channel = channel
    self.name = name
    self.scope = scope
    self.agent = agent
    self.destinations = destinations
    self.generation = generation
    self.digest = digest
    self.rule = rule
    self.note = note
  }

  /// The longest rule that is written, in bytes: with a path of the length that rules take.
  private static let longestRule = 2048

  func encode(into json: inout JSONWriter) {
    json.field("channel", channel)
    if let name { json.field("name", name) }
    json.field("scope", scope)
    json.field("agent", agent)
    json.key("destinations")
    json.beginArray()
    for destination in destinations.prefix(20) { json.bounded(destination, limit: maximumFieldLength + 16) }
    json.endArray()
    json.key("generation")
    json.integer(generation)
    json.field("digest", digest)
    if let rule {
      json.key("rule")
      json.bounded(rule, limit: Self.longestRule)
    }
    if let note { json.field("note", note) }
    program?.encode(into: &json)
  }
}
