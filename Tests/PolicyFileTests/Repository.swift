import Foundation

/// The checkout that the tests run in.
enum Repository {
  static let root = URL(filePath: #filePath).resolvingSymlinksInPath()
    .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

  static func path(_ relative: String) -> String {
    root.appending(path: relative).path(percentEncoded: false)
  }

  /// The files of a directory with one extension, sorted, without it.
  static func names(in directory: String, ofType type: String) -> [String] {
    let names = (try? FileManager.default.contentsOfDirectory(atPath: path(directory))) ?? []
    return names.filter { $0.hasSuffix("." + type) }.map { String($0.dropLast(type.count + 1)) }.sorted()
  }

  static func text(_ relative: String) throws -> String {
    try String(contentsOf: root.appending(path: relative), encoding: .utf8)
  }
}

/// What a program printed, and how it ended.
struct ProgramResult {
  var output: String
  var errors: String
  var status: Int32
}

/// Runs a program to its end.
func run(_ arguments: [String]) throws -> ProgramResult {
  let process = Process(), output = Pipe(), errors = Pipe()
  process.executableURL = URL(filePath: "/usr/bin/env")
  process.arguments = arguments
  process.standardOutput = output
  process.standardError = errors
  try process.run()
  let printed = output.fileHandleForReading.readDataToEndOfFile()
  let said = errors.fileHandleForReading.readDataToEndOfFile()
  process.waitUntilExit()
  return ProgramResult(
    output: String(decoding: printed, as: UTF8.self), errors: String(decoding: said, as: UTF8.self),
    status: process.terminationStatus)
}
