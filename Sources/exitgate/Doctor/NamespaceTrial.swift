import CLinux
import Confinement
import Firewall
import Glibc
import PolicyFile

/// Makes namespaces as `run` does, in a child that ends at once, and tries there
/// what the table of a command needs.
enum NamespaceTrial {
  /// What the child says: a word, a tab, and what belongs to it.
  enum Word: String {
    /// Making a user namespace was refused: the kernel's reason.
    case unmade
    /// Making the others within was refused.
    case unfilled
    /// nf_tables cannot be used there at all.
    case failed
    /// A part that is there or, with a reason, is not: name, loss, `!` where it is required, reason.
    case part
  }

  /// - Precondition: The process has one thread.
  static func run(_ facts: inout HostFacts.UserNamespaces) {
    let child: KeeperProcess
    do { child = try KeeperProcess.start(name: "exitgate-trial", body: inside) } catch {
      facts.made = .refused("\(error)")
      return
    }
    defer { _ = child.waitForEnd() }
    guard case .message(let bytes, _)? = try? child.channel.receive() else {
      facts.made = .refused("the child that tried it died")
      return
    }
    facts.take(String(decoding: bytes, as: UTF8.self))
  }

  /// In the child: the exit status is not looked at.
  private static func inside(_ channel: MessageChannel) -> Int32 {
    try? channel.send(Array(tried().joined(separator: "\n").utf8))
    return 0
  }

  private static func tried() -> [String] {
    if linux_unshare(Int32(LINUX_NEW_USER)) != 0 { return [line(.unmade, reason())] }
    if linux_unshare(Int32(LINUX_NEW_OTHERS)) != 0 { return [line(.unfilled, reason())] }
    do {
      return try KernelProbe.run(.sidecar).map { finding in
        line(
          .part, finding.feature, finding.loss, finding.isRequired ? "!" : "",
          finding.error?.description ?? "")
      }
    } catch { return [line(.failed, "\(error)")] }
  }

  private static func reason() -> String { String(cString: strerror(errno)) }

  private static func line(_ word: Word, _ fields: String...) -> String {
    ([word.rawValue] + fields).joined(separator: "\t")
  }
}

extension HostFacts.UserNamespaces {
  /// Reads what the child said.
  mutating func take(_ text: String) {
    var found: [HostFacts.Part] = []
    for line in text.split(separator: "\n") {
      let fields = line.split(separator: "\t", omittingEmptySubsequences: false).map(String.init)
      guard fields.count > 1, let word = NamespaceTrial.Word(rawValue: fields[0]) else { continue }
      switch word {
      case .unmade: made = .refused(fields[1])
      case .unfilled: others = .refused(fields[1])
      case .failed: parts = .failed(fields[1])
      case .part where fields.count == 5:
        found.append(
          HostFacts.Part(
            name: fields[1], loss: fields[2], modes: [.run], isRequired: fields[3] == "!",
            error: fields[4].isEmpty ? nil : fields[4]))
      case .part: continue
      }
    }
    if !found.isEmpty { parts = .found(found) }
  }
}
