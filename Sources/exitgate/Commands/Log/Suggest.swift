import Addressing
import ArgumentParser
import Audit
import Policy
import PolicyFile
import Review

extension Log {
  /// `exitgate log suggest`
  struct Suggest: Verb {
    static let configuration = CommandConfiguration(
      commandName: "suggest",
      abstract: "Write a policy from what passed in audit mode.",
      discussion: """
        What passed while the gate only watched, and what rules allowed, becomes a policy under which the same passes \
        in enforce mode: ready-made lists where they cover it, else one rule for each registered domain, with the \
        ports and protocols that were seen. Names become a wildcard only where three of them lie directly below a name \
        that belongs to one party by the public suffix list; a comment says so. Private addresses, the floor, what deny \
        rules match and handshakes that enforce mode cuts are never suggested, but listed as left out.

        The riskiest rules come first, with a comment on what to look at: data through DNS, much that was sent, \
        opaque bytes, addresses, unusual ports, wildcards, domains that nothing knows. Look before you use it.

          exitgate run --mode audit -- npm test && exitgate log suggest --since 1h >policy.yaml
          exitgate log suggest --merge policy.yaml >new.yaml && exitgate check new.yaml

        With --merge every rule and comment of the file stays as it is, and only what it does not allow is added.
        """)

    @OptionGroup var records: RecordOptions

    @OptionGroup var index: IndexOption

    @Option(
      help: ArgumentHelp(
        "Add to this policy instead of beginning a new one; the file itself is not changed.",
        valueName: "file"),
      completion: .file(extensions: ["yaml", "yml"]))
    var merge: String?

    @Flag(help: "Print one JSON object, with the policy as text in it.")
    var json = false

    func run(in here: Surroundings) throws(Failure) -> Int32 {
      let base = try merge.map { path throws(Failure) in try Base(path, in: here) }
      let summary = try index.summary(of: records, in: here), now = wallClock()
      let suggestion = Suggestion(summary, beyond: base?.policy, lists: ShippedLists(at: now), at: now)
      let written: SuggestedPolicy
      do throws(PolicyFileError) {
        let loader = base?.loader ?? Reading.loader(in: here)
        written = try SuggestedPolicy(suggestion, addedTo: base?.text, loader: loader, at: now)
      } catch { throw Failure(policy: error, on: here.console) }
      if json { here.console.result(written.json) } else { here.console.result(lines: written.text) }
      tell(written, base, on: here.console)
      records.warn(of: summary.unreadable, on: here.console)
      return 0
    }

    private func tell(_ written: SuggestedPolicy, _ base: Base?, on console: Console) {
      let suggestion = written.suggestion
      console.say(
        "exitgate: \(count(suggestion.entries.count, "rule")) and \(count(suggestion.inclusions.count, "list")) suggested, \(count(suggestion.leftOut.count, "destination")) left out."
      )
      if suggestion.unknown > 0 {
        console.say(
          "exitgate: \(Text("INCOMPLETE", .doubtful)): nothing is suggested for \(count(suggestion.unknown, "decision")) at places that "
            + "are too many to be told apart. Narrow it with --agent, --destination or --since, and merge what comes out."
        )
      }
      for why in LeftOut.Why.allCases where base != nil {
        let own = suggestion.leftOut.filter { $0.why == why }
        if !own.isEmpty { console.say("exitgate: left out: \(own.count), \(why.rawValue).") }
      }
      if written.loaded.policy.mode == .audit {
        console.say("exitgate: \(Text("NOT ENFORCING: mode is audit", .doubtful)). Set it to enforce.")
      }
    }
  }
}

/// The policy that is added to.
private struct Base {
  let text: PolicyText
  let policy: Policy
  /// Reads a changed text as if it stood in the same place.
  let loader: PolicyLoader

  init(_ path: String, in here: Surroundings) throws(Failure) {
    policy = try Reading.policy(at: path, in: here).policy
    let absolute = path.utf8.first == UInt8(ascii: "/") ? path : here.workingDirectory + "/" + path
    loader = Reading.loader(
      in: here, from: String(absolute[..<(absolute.lastIndex(of: "/") ?? absolute.startIndex)]))
    do { text = try PolicyText(path: path, with: loader) } catch {
      throw Failure(policy: error, on: here.console)
    }
  }
}

extension SuggestedPolicy {
  fileprivate var json: JSONValue {
    .object([
      .init("policy", .string(text)), .init("rules", .array(suggestion.entries.map(\.json))),
      .init(
        "includes",
        .array(
          suggestion.inclusions.map {
            .object([.init("name", .string($0.name)), .init("covers", .strings($0.covers))])
          })),
      .init("left_out", .array(suggestion.leftOut.map(\.json))),
      .init("complete", .bool(suggestion.unknown == 0)),
      .init("unknown", .integer(Int64(clamping: suggestion.unknown))),
    ])
  }
}

extension SuggestedEntry {
  fileprivate var json: JSONValue {
    .object([
      .init("id", .string(id.text)), .init("agents", agents.map { .strings($0.map(\.text)) } ?? .null),
      .init("to", .strings(to.map(\.description))), .init("port", .integer(Int64(port.number))),
      .init("protocol", .string(traffic.rawValue)), .init("methods", .strings(methods)),
      .init("record_types", .strings(recordTypes)), .init("marks", .strings(marks.map(\.rawValue))),
      .init("wildcards", .array(wildcards.map(\.json))), .init("count", .integer(Int64(clamping: count))),
      .init("first", .string(first.description)), .init("last", .string(last.description)),
      .init("bytes_out", .integer(Int64(clamping: bytesOut))),
      .init("bytes_in", .integer(Int64(clamping: bytesIn))),
      .init("layers", .strings(layers)), .init("processes", .strings(processes)),
    ])
  }
}

extension SuggestedEntry.Wildcard {
  fileprivate var json: JSONValue {
    .object([.init("pattern", .string("*.\(parent)")), .init("seen", .strings(siblings.map(\.text)))])
  }
}

extension LeftOut {
  fileprivate var json: JSONValue {
    .object([
      .init("place", .string(place)), .init("agent", .string(agent)), .init("why", .string(why.rawValue)),
      .init("count", .integer(Int64(clamping: count))),
    ])
  }
}
