import Addressing
import Approvals
import CLinux
import Confinement
import Glibc

/// The process that looks: it finds the socket at the other end of a connection, and the process that has it.
struct WitnessProcess {
  private let channel: MessageChannel
  /// What is asked for sockets (sock_diag(7)), those of the network that it was opened in; nil: of this one.
  private let diagnosis: Int32?

  init(_ channel: MessageChannel, asking diagnosis: Int32? = nil) {
    (self.channel, self.diagnosis) = (channel, diagnosis)
  }

  /// Answers until the gate is gone.
  ///
  /// - Returns: The exit status, which nobody looks at.
  func run() -> Int32 {
    let diagnosis = diagnosis ?? linux_diagnosis_socket()
    guard diagnosis >= 0, (try? Confinement.apply(.witness()))?.isFiltered == true else { return 1 }
    while case .message(let bytes, _)? = try? channel.receive() {
      guard let (number, client, gate) = WitnessMessage.question(bytes) else { return 1 }
      let program = SocketOwner.find(diagnosis, client, gate).flatMap { $0.holder() }
      guard (try? channel.send(WitnessMessage.answer(number, program))) != nil else { return 0 }
    }
    return 0
  }
}

/// A socket as sock_diag(7) knows it.
struct SocketOwner {
  let inode: UInt64
  let user: UInt32

  /// Processes and descriptors that are looked at for one question.
  private static let most = (processes: 16_384, descriptors: 131_072)

  /// The socket whose own end is `client` and whose other end is `gate`, in this network namespace.
  static func find(_ diagnosis: Int32, _ client: Endpoint, _ gate: Endpoint) -> SocketOwner? {
    let own = bytes(client.address), peer = bytes(gate.address)
    guard own.count == peer.count else { return nil }
    var inode: UInt64 = 0, user: UInt32 = 0
    let result = linux_find_socket(
      diagnosis, own.count == 4 ? AF_INET : AF_INET6, own, client.port.number, peer, gate.port.number, &inode,
      &user)
    return result == 0 ? SocketOwner(inode: inode, user: user) : nil
  }

  private static func bytes(_ address: IPAddress) -> [UInt8] {
    switch address {
    case .v4(let value): withUnsafeBytes(of: value.bigEndian, Array.init)
    case .v6(let high, let low):
      withUnsafeBytes(of: high.bigEndian, Array.init) + withUnsafeBytes(of: low.bigEndian, Array.init)
    }
  }

  /// The process that has it open; nil where none is, or none that may be looked at. A socket may be in several
  /// hands, of which any may have asked: that is said, and none of them is named as the one.
  func holder() -> Program? {
    var descriptors = 0, found: [Program] = []
    for process in Self.processes {
      guard let before = Self.startTime(of: process), owns(process) else { continue }
      for entry in Self.entries(of: "/proc/\(process)/fd") {
        descriptors += 1
        guard descriptors < Self.most.descriptors else { return Self.summary(of: found) }
        guard hasIt("/proc/\(process)/fd/\(entry)") else { continue }
        let program = Self.program(process)
        // The number may be another's by now: the same start and the same socket say that it is not.
        guard Self.startTime(of: process) == before, hasIt("/proc/\(process)/fd/\(entry)") else { return nil }
        found.append(program)
        break
      }
    }
    return Self.summary(of: found)
  }

  private static var processes: some Sequence<Int32> {
    entries(of: "/proc").lazy.filter { $0.utf8.allSatisfy { (0x30...0x39).contains($0) } }
      .prefix(most.processes).compactMap { Int32($0) }
  }

  private static func summary(of found: [Program]) -> Program? {
    guard let first = found.first, found.count > 1 else { return found.first }
    return Program(
      command: short("one of \(found.count) processes that share the connection: \(first.command)"),
      workingDirectory: first.workingDirectory, processID: nil)
  }

  private func owns(_ process: Int32) -> Bool {
    var status = stat()
    return stat("/proc/\(process)", &status) == 0
      && (status.st_uid == user || user == 0 || status.st_uid == 0)
  }

  private func hasIt(_ path: String) -> Bool { Self.link(path) == "socket:[\(inode)]" }

  private static func program(_ process: Int32) -> Program {
    let words = content("/proc/\(process)/cmdline", limit: 4096).split(separator: 0).map {
      String(decoding: $0, as: UTF8.self)
    }
    let own = words.isEmpty ? text("/proc/\(process)/comm") : words.joined(separator: " ")
    // The file that runs is the kernel's word; the arguments are the program's own.
    let file = link("/proc/\(process)/exe")
    let command = file.map { "\($0) (\(own))" } ?? own
    return Program(
      command: short(command), file: file.map(short),
      workingDirectory: short(link("/proc/\(process)/cwd") ?? "?"),
      processID: process)
  }

  /// The 22nd field of proc_pid_stat(5), behind a name that may hold anything.
  private static func startTime(of process: Int32) -> String? {
    let fields = content("/proc/\(process)/stat", limit: 4096).split(separator: UInt8(ascii: ")")).last?
      .split(
        separator: UInt8(ascii: " "))
    guard let fields, fields.count > 19 else { return nil }
    return String(decoding: fields[19], as: UTF8.self)
  }

  private static func text(_ path: String) -> String {
    String(decoding: content(path, limit: 64).prefix { $0 != 10 }, as: UTF8.self)
  }

  /// As much of it as a person reads; a separator of the message is no letter.
  private static func short(_ text: String) -> String {
    String(String.UnicodeScalarView(text.unicodeScalars.filter { $0 != "\0" }.prefix(256)))
  }

  private static func content(_ path: String, limit: Int) -> [UInt8] {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return [] }
    defer { close(descriptor) }
    var bytes = [UInt8](repeating: 0, count: limit)
    let count = read(descriptor, &bytes, limit)
    return count > 0 ? Array(bytes[..<count]) : []
  }

  private static func link(_ path: String) -> String? {
    var bytes = [UInt8](repeating: 0, count: Int(PATH_MAX))
    let count = readlink(path, &bytes, bytes.count)
    return count > 0 ? String(decoding: bytes[..<count], as: UTF8.self) : nil
  }

  private static func entries(of path: String) -> [String] {
    guard let directory = opendir(path) else { return [] }
    defer { closedir(directory) }
    var names: [String] = []
    while names.count < most.descriptors, let entry = readdir(directory) {
      names.append(
        withUnsafeBytes(of: entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) })
    }
    return names
  }
}
