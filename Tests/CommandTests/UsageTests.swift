import Foundation
import Testing

@Suite("The command line", .timeLimit(.minutes(2)))
struct UsageTests {
  struct Case: Sendable, CustomTestStringConvertible {
    var arguments: [String], status: Int32 = 64, says: String, because: String
    var environment: [String: String] = [:]
    var testDescription: String { because }
  }
  static let wrong = [
    Case(
      arguments: ["serve", "--polcy", "x"], says: "'--policy'",
      because: "a misspelt option is told the right one"),
    Case(arguments: ["explian"], says: "'explain'", because: "a misspelt command is told the right one"),
    Case(arguments: ["log", "tial"], says: "'tail'", because: "so is one below another"),
    Case(arguments: ["frobnicate"], says: "exitgate --help", because: "nothing near is the way to help"),
    Case(
      arguments: ["serve", "--policy", "p", "--proxy-listen", "localhost:3128"], says: "127.0.0.1:3128",
      because: "names are no addresses to listen on"),
    Case(
      arguments: ["serve", "--policy", "p", "--dns-upstream", "dns.example"], says: "10.0.0.2",
      because: "a resolver cannot be found by name"),
    Case(
      arguments: ["serve", "--policy", "p", "--loops", "0"], says: "1 to 256", because: "no loops, no gate"),
    Case(
      arguments: ["serve", "--policy", "p", "--audit-rotate-at", "10"], says: "64KiB",
      because: "a file for each record"),
    Case(
      arguments: ["serve", "--policy", "p", "--audit-keep", "0"], says: "1 to 1000000",
      because: "a log that keeps nothing"),
    Case(arguments: ["gateway", "--policy", "p"], says: "--interface IF", because: "a gateway of nobody"),
    Case(
      arguments: ["gateway", "--policy", "p", "--interface", "lo"], says: "IF=AGENT",
      because: "no agent is behind the loopback"),
    Case(
      arguments: ["gateway", "--policy", "p", "--interface", "a0=no agent"], says: "[a-z0-9]",
      because: "an agent's name is a word"),
    Case(
      arguments: ["gateway", "--policy", "p", "--interface", "sixteen-letters-"], says: "IF=AGENT",
      because: "a device's name has 15 bytes at most"),
    Case(
      arguments: ["gateway", "--policy", "p", "--interface", "a0=ci", "--interface", "a0=dev"], says: "once",
      because: "one link, one agent"),
    Case(arguments: ["serve"], says: "--policy", because: "no policy is no default"),
    Case(arguments: ["check"], says: "files", because: "nothing to check"),
    Case(arguments: ["explain", "api.github.com"], says: "HOST:PORT", because: "a port is missing"),
    Case(
      arguments: ["explain", "ftp://x:21"], says: "scheme", because: "a scheme that the gate does not speak"),
    Case(
      arguments: ["explain", "x:1", "--agent", "../../etc"], says: "[a-z0-9]", because: "an agent is no path"),
    Case(arguments: ["log", "tail", "--since", "yesterday"], says: "30m", because: "times have two forms"),
    Case(
      arguments: ["log", "tail", "--destination", "*"], says: "example.com",
      because: "a star alone is no host"),
    Case(arguments: ["log", "tail", "--layer", "ip"], says: "connect", because: "layers are named"),
    Case(
      arguments: ["log", "verify", "--key", "abc"], says: "64 hexadecimal", because: "a key has 32 bytes"),
    Case(arguments: ["allowlists", "nmp"], says: "exitgate allowlists", because: "no such list"),
    Case(
      arguments: ["status", "--control", "/nowhere/c.sock"], status: 69, says: "exitgate serve",
      because: "no gate answers"),
    Case(
      arguments: ["log", "tail", "--audit-log", "/nowhere/a.jsonl"], status: 78, says: "--audit-log",
      because: "there is no such log"),
    Case(
      arguments: ["doctor", "--for", "siedcar"], says: "sidecar", because: "there are four ways to run it"),
    Case(
      arguments: ["status"], says: "EXITGATE_JSON", because: "a flag's twin is yes or no",
      environment: ["EXITGATE_JSON": "maybe"]),
    Case(
      arguments: ["log", "tail"], says: "EXITGATE_SINCE",
      because: "a wrong value from the environment names its variable",
      environment: ["EXITGATE_SINCE": "yesterday"]),
  ]

  @Test("what is wrong is said with its remedy, on standard error alone", arguments: wrong)
  func refused(_ wrong: Case) throws {
    let run = try Binary.run(wrong.arguments, environment: wrong.environment)
    #expect(run.status == wrong.status)
    #expect(run.out == "")
    #expect(run.err.contains(wrong.says), "\(run.err)")
    #expect(run.err.hasPrefix("exitgate: "))
    #expect(run.err.split(separator: "\n").count <= 2)
  }

  static let commands = [
    ["serve"], ["sidecar"], ["gateway"], ["check"], ["explain"], ["allowlists"], ["log"], ["log", "tail"],
    ["log", "blocked"], ["log", "suggest"], ["log", "replay"],
    ["log", "stats"],
    ["log", "verify"], ["status"], ["reload"], ["doctor"], ["completions"], ["man"],
  ]

  @Test("every command's help teaches by an example", arguments: commands)
  func help(_ command: [String]) throws {
    let run = try Binary.run(command + ["--help"])
    #expect(run.status == 0)
    #expect(run.err == "")
    #expect(run.out.contains(try Regex("  .*exitgate \(command.joined(separator: " "))( |\n)")), "\(run.out)")
    #expect(try Binary.run(["help"] + command).out == run.out)
  }

  @Test("the version is one line")
  func version() throws {
    let run = try Binary.run("--version")
    #expect(run.status == 0)
    #expect(run.out.wholeMatch(of: /exitgate \d+\.\d+\.\d+\n/) != nil, "\(run.out)")
  }

  @Test("the environment speaks where the command line does not")
  func twins() throws {
    let scratch = try Scratch()
    let policy = try scratch.write("policy.yaml", samplePolicy)
    let environment = ["EXITGATE_POLICY": policy, "EXITGATE_JSON": "yes"]
    let asked = try Binary.run("explain", "api.github.com:443", environment: environment)
    #expect(asked.status == 0)
    #expect(asked.out.hasPrefix("{"))
    let overridden = try Binary.run(
      "explain", "api.github.com:443", "--policy", "/nowhere", environment: environment)
    #expect(overridden.status == 65, "the command line wins")
    let off = try Binary.run(
      "explain", "api.github.com:443", environment: ["EXITGATE_POLICY": policy, "EXITGATE_JSON": "0"])
    #expect(off.out.hasPrefix("destination"))
  }

  @Test("a value from the environment is never read as an option")
  func dashes() throws {
    let run = try Binary.run("status", environment: ["EXITGATE_CONTROL": "--json"])
    #expect(run.status == 69)
    #expect(run.err.contains("'--json'"))
  }

  @Test("AUD-02: no control byte of an argument reaches the terminal")
  func hostileArguments() throws {
    let hostile = "\u{1b}]52;c;ZXZpbA==\u{7}\u{9b}2J\u{202e}\r\n\u{2028}x"
    let runs = [
      try Binary.run("check", hostile), try Binary.run("explain", hostile + ":443", "--policy", hostile),
      try Binary.run(hostile), try Binary.run("status", "--control", hostile),
      try Binary.run("log", "tail", "--audit-log", hostile), try Binary.run("allowlists", hostile),
      try Binary.run("log", "tail", "--since", hostile),
      try Binary.run("explain", "x:\(hostile)", "--policy", hostile),
    ]
    for run in runs {
      #expect(run.status != 0)
      for scalar in (run.out + run.err).unicodeScalars {
        #expect(scalar == "\n" || (scalar.value >= 0x20 && !(0x7f...0x9f).contains(scalar.value)))
        #expect(!["\u{202e}", "\u{2028}"].contains(scalar))
      }
    }
  }

  @Test(
    "a result that nobody can take is a failure",
    .enabled(if: FileManager.default.fileExists(atPath: "/dev/full")))
  func fullDevice() throws {
    let scratch = try Scratch()
    let process = try Binary.process(["allowlists"], [:], in: scratch)
    process.standardOutput = FileHandle(forWritingAtPath: "/dev/full")
    process.standardError = try scratch.create("err")
    try process.run()
    process.waitUntilExit()
    #expect(process.terminationStatus == 74)
    #expect(try scratch.text("err").contains("standard output"))
  }
}

@Suite("What is generated from the declarations", .timeLimit(.minutes(2)))
struct GeneratedTests {
  @Test("completion scripts know every command", arguments: ["bash", "zsh", "fish"])
  func completions(_ shell: String) throws {
    let run = try Binary.run("completions", shell)
    #expect(run.status == 0)
    for command in UsageTests.commands.compactMap(\.last) { #expect(run.out.contains(command)) }
    #expect(run.out.contains("proxy-listen"))
    #expect(!run.out.contains("\\u{"), "nothing in a script needs escaping")
  }

  @Test("bash takes its completion script")
  func bashSyntax() throws {
    let scratch = try Scratch()
    try scratch.write("exitgate.bash", try Binary.run("completions", "bash").out)
    #expect(try outcome(of: "bash", "-n", scratch.file("exitgate.bash")) == "")
  }

  @Test("the manual page names every command, option, variable and status")
  func manual() throws {
    let page = try Binary.run("man").out.replacing("\\-", with: "-")
    for command in UsageTests.commands where command != ["log"] {
      #expect(page.contains(".SS \"exitgate \(command.joined(separator: " "))\""), "\(command)")
    }
    for command in UsageTests.commands {
      let help = try Binary.run(command + ["--help"]).out
      for option in help.matches(of: /--([a-z][a-z-]+)/).map(\.1) where !["help", "version"].contains(option)
      {
        #expect(page.contains("--\(option)"))
        let variable = "EXITGATE_" + option.uppercased().replacing("-", with: "_")
        #expect(page.contains(".B \(variable)"), "\(variable)")
      }
    }
    for status in [0, 1, 2, 64, 65, 69, 78] { #expect(page.contains(".B \(status)\n")) }
  }

  @Test(
    "groff has nothing to say about the manual page",
    .enabled(if: FileManager.default.fileExists(atPath: "/usr/bin/groff")))
  func groff() throws {
    let scratch = try Scratch()
    try scratch.write("exitgate.8", try Binary.run("man").out)
    #expect(try outcome(of: "groff", "-man", "-ww", "-z", scratch.file("exitgate.8")) == "")
  }

  /// What a tool says about a file; nothing when it is content.
  private func outcome(of tool: String...) throws -> String {
    let process = Process(), pipe = Pipe()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = tool
    (process.standardOutput, process.standardError) = (pipe, pipe)
    try process.run()
    let said = pipe.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    return String(decoding: said, as: UTF8.self)
      + (process.terminationStatus == 0 ? "" : "\(process.terminationStatus)")
  }
}
