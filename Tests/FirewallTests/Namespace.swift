import Foundation
import Glibc
import Testing

/// Whether this process may make network namespaces; the tests that need them
/// are reported as skipped elsewhere.
let mayMakeNamespaces = geteuid() == 0 && FileManager.default.isExecutableFile(atPath: "/usr/sbin/nft")

/// What a command wrote and how it ended.
struct Outcome {
  var status: Int32, output: String, errors: String
}

struct CommandFailed: Error {
  var command: [String], outcome: Outcome
}

/// A network namespace of its own, held by a process that waits for the end of
/// its standard input: it ends with the tests, however they end.
///
/// `@unchecked Sendable`: nothing changes after `init`; the process is only ended, in `deinit`.
final class Namespace: @unchecked Sendable {
  private let holder = Process()
  private let life: Channel
  let pid: Int32

  init() throws {
    let pipe = try Channel()
    life = try Channel()
    holder.executableURL = URL(filePath: "/usr/bin/unshare")
    holder.arguments = ["--net", "sh", "-c", "ip link set lo up; echo made; exec cat"]
    holder.standardInput = life.reading
    holder.standardOutput = pipe.writing
    holder.standardError = FileHandle.nullDevice
    try holder.run()
    for end in [life.reading, pipe.writing] { try end.close() }
    pid = holder.processIdentifier
    let line = pipe.reading.availableData
    try #require(String(decoding: line, as: UTF8.self) == "made\n")
  }

  deinit {
    kill(pid, SIGKILL)
    holder.waitUntilExit()
  }

  /// Runs a command inside, with the file system of the host.
  @discardableResult
  func run(_ command: String..., input: String = "", mayFail: Bool = false) throws -> Outcome {
    let outcome = try execute(["/usr/bin/nsenter", "--net=/proc/\(pid)/ns/net"] + command, input: input)
    guard mayFail || outcome.status == 0 else { throw CommandFailed(command: command, outcome: outcome) }
    return outcome
  }

  /// Runs `body` in a thread of its own that is inside the namespace.
  func enter<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) throws -> Value {
    let result = Box<Result<Value, any Error>?>(nil)
    let done = DispatchSemaphore(value: 0)
    let thread = Thread { [pid] in
      result.value = Result {
        try joinNetwork(of: pid)
        return try body()
      }
      done.signal()
    }
    thread.start()
    done.wait()
    return try #require(result.value).get()
  }
}

/// `@unchecked Sendable`: written before and read after a semaphore is signalled.
final class Box<Value>: @unchecked Sendable {
  var value: Value
  init(_ value: Value) { self.value = value }
}

/// Moves the calling thread into a process's network namespace. setns(2) is not
/// in the Glibc module, so it is looked up.
private func joinNetwork(of pid: Int32) throws {
  typealias SetNamespace = @convention(c) (Int32, Int32) -> Int32
  let symbol = try #require(dlsym(nil, "setns"))
  let setns = unsafeBitCast(symbol, to: SetNamespace.self)
  let descriptor = open("/proc/\(pid)/ns/net", O_RDONLY | O_CLOEXEC)
  defer { close(descriptor) }
  try #require(descriptor >= 0 && setns(descriptor, 0x4000_0000) == 0)
}

/// A pipe that no child inherits but the one it is given to: tests run side by
/// side, and a stranger that holds an end would keep the other from ending.
struct Channel {
  let reading: FileHandle, writing: FileHandle

  init() throws {
    typealias MakePipe = @convention(c) (UnsafeMutablePointer<Int32>, Int32) -> Int32
    let pipe2 = unsafeBitCast(try #require(dlsym(nil, "pipe2")), to: MakePipe.self)
    var ends: [Int32] = [-1, -1]
    try #require(pipe2(&ends, O_CLOEXEC) == 0)
    reading = FileHandle(fileDescriptor: ends[0], closeOnDealloc: true)
    writing = FileHandle(fileDescriptor: ends[1], closeOnDealloc: true)
  }
}

/// Runs a program to its end.
func execute(_ command: [String], input: String) throws -> Outcome {
  let process = Process()
  let (stdin, stdout, stderr) = try (Channel(), Channel(), Channel())
  process.executableURL = URL(filePath: command[0])
  process.arguments = Array(command.dropFirst())
  process.standardInput = stdin.reading
  process.standardOutput = stdout.writing
  process.standardError = stderr.writing
  try process.run()
  for end in [stdin.reading, stdout.writing, stderr.writing] { try end.close() }
  let errors = Box(Data())
  let drained = DispatchSemaphore(value: 0)
  Thread {
    errors.value = stderr.reading.readDataToEndOfFile()
    drained.signal()
  }.start()
  stdin.writing.write(Data(input.utf8))
  try stdin.writing.close()
  let output = stdout.reading.readDataToEndOfFile()
  drained.wait()
  process.waitUntilExit()
  return Outcome(
    status: process.terminationStatus, output: String(decoding: output, as: UTF8.self),
    errors: String(decoding: errors.value, as: UTF8.self))
}
