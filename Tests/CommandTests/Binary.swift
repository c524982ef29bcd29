import Foundation
import Testing

/// The binary that was built together with these tests.
enum Binary {
  /// What a run of it left behind.
  struct Run {
    var status: Int32
    var out: String
    var err: String
  }

  /// It stands beside the test bundle, which is what runs now or what the runner was given.
  static let path: String = {
    let arguments = CommandLine.arguments
    let named = arguments.firstIndex(of: "--test-bundle-path").map { arguments[$0 + 1] }
    let bundle = named ?? (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? ""
    return URL(fileURLWithPath: bundle).deletingLastPathComponent().appendingPathComponent("exitgate").path
  }()

  /// Runs a command to its end.
  ///
  /// - Parameter environment: What it gets beside `PATH` and a home of its own.
  static func run(_ arguments: String..., environment: [String: String] = [:]) throws -> Run {
    try run(arguments, environment: environment)
  }

  static func run(_ arguments: [String], environment: [String: String] = [:]) throws -> Run {
    let scratch = try Scratch()
    let process = try process(arguments, environment, in: scratch)
    let out = try scratch.create("out"), err = try scratch.create("err")
    (process.standardOutput, process.standardError) = (out, err)
    try process.run()
    // A command that does not end would hold the whole run.
    let watchdog = DispatchWorkItem { kill(process.processIdentifier, SIGKILL) }
    DispatchQueue.global().asyncAfter(deadline: .now() + 60, execute: watchdog)
    process.waitUntilExit()
    watchdog.cancel()
    return Run(status: process.terminationStatus, out: try scratch.text("out"), err: try scratch.text("err"))
  }

  /// A command that is not started yet.
  static func process(_ arguments: [String], _ environment: [String: String], in scratch: Scratch) throws
    -> Process
  {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: path)
    process.arguments = arguments
    let own = ["PATH": ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin", "HOME": scratch.path]
    process.environment = own.merging(environment) { $1 }
    process.standardInput = FileHandle.nullDevice
    return process
  }
}

/// A directory of its own that goes away with the test.
final class Scratch: Sendable {
  let path: String

  init() throws {
    var template = Array("/tmp/exitgate-command.XXXXXX".utf8CString)
    let made = template.withUnsafeMutableBufferPointer {
      $0.baseAddress.flatMap { mkdtemp($0) }.map { String(cString: $0) }
    }
    path = try #require(made)
  }

  deinit {
    try? FileManager.default.removeItem(atPath: path)
  }

  func file(_ name: String) -> String { path + "/" + name }

  /// Writes a file and answers its path.
  @discardableResult
  func write(_ name: String, _ text: String) throws -> String {
    try Data(text.utf8).write(to: URL(fileURLWithPath: file(name)))
    return file(name)
  }

  func text(_ name: String) throws -> String {
    String(decoding: try Data(contentsOf: URL(fileURLWithPath: file(name))), as: UTF8.self)
  }

  func exists(_ name: String) -> Bool { FileManager.default.fileExists(atPath: file(name)) }

  func create(_ name: String) throws -> FileHandle {
    try write(name, "")
    return try #require(FileHandle(forWritingAtPath: file(name)))
  }
}

/// A policy with one of everything.
let samplePolicy = """
  version: 1
  rules:
    - { id: github, action: allow, to: [api.github.com], reason: clone }
    - { id: db, action: ask, to: [db.corp.example], protocol: tcp, ports: [5432], allow-private: true }
    - { id: files, action: allow, to: [files.example], protocol: http, http: [{ methods: [GET], path: "/public/**" }] }
    - { id: paste, action: deny, to: ["**.pastebin.com"] }

  """
