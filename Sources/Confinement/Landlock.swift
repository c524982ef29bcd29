import CLinux
import Glibc
import SystemPackage

/// Which files a process may use, and which TCP ports: what is not named is denied.
///
/// - Source: landlock(7), linux/landlock.h.
public struct LandlockRuleset: Hashable, Sendable {
  /// What may be done beneath a path.
  public struct Rights: OptionSet, Hashable, Sendable {
    public let rawValue: UInt64
    public init(rawValue: UInt64) { self.rawValue = rawValue }

    public static let execute = Self(rawValue: 1 << 0)
    public static let writeFile = Self(rawValue: 1 << 1)
    public static let readFile = Self(rawValue: 1 << 2)
    public static let readDirectory = Self(rawValue: 1 << 3)
    public static let removeDirectory = Self(rawValue: 1 << 4)
    public static let removeFile = Self(rawValue: 1 << 5)
    public static let makeDirectory = Self(rawValue: 1 << 7)
    public static let makeFile = Self(rawValue: 1 << 8)
    public static let makeSocket = Self(rawValue: 1 << 9)
    public static let makePipe = Self(rawValue: 1 << 10)
    public static let makeLink = Self(rawValue: 1 << 12)
    /// ABI 2.
    public static let refer = Self(rawValue: 1 << 13)
    /// ABI 3.
    public static let truncate = Self(rawValue: 1 << 14)
    /// ABI 5.
    public static let deviceControl = Self(rawValue: 1 << 15)

    /// Files are read, directories listed.
    public static let read: Self = [.readFile, .readDirectory]
    /// Files and sockets are made, changed and removed.
    public static let write: Self = [.writeFile, .truncate, .removeFile, .makeFile, .makeSocket]

    /// All but making devices.
    public static let everything: Self = [
      .read, .write, .execute, .removeDirectory, .makeDirectory, .makePipe, .makeLink, .refer, .deviceControl,
    ]

    /// Those that mean something for what is no directory.
    static let ofFiles: Self = [.execute, .writeFile, .readFile, .truncate, .deviceControl]

    /// All that a kernel with this ABI can deny.
    static func known(to abi: Int) -> Self {
      let count = abi >= 5 ? 16 : abi >= 3 ? 15 : abi >= 2 ? 14 : 13
      return Self(rawValue: 1 << UInt64(count) - 1)
    }
  }

  /// What is reached beyond the process.
  public struct Scopes: OptionSet, Hashable, Sendable {
    public let rawValue: UInt64
    public init(rawValue: UInt64) { self.rawValue = rawValue }

    /// Connecting to abstract Unix sockets of processes outside.
    public static let abstractSockets = Self(rawValue: 1 << 0)
    /// Signals to processes outside.
    public static let signals = Self(rawValue: 1 << 1)
  }

  /// One path and what may be done beneath it.
  public struct Rule: Hashable, Sendable {
    public var path: String
    public var rights: Rights
  }

  public private(set) var rules: [Rule] = []
  /// Whether TCP is denied altogether (ABI 4); where not, it is not looked at.
  public var deniesTCP = false
  /// What is cut off (ABI 6).
  public var scopes: Scopes = [.abstractSockets, .signals]

  /// Makes a ruleset that allows no file.
  public init() {}

  /// Allows `rights` at `path` and beneath it; a link is followed.
  public mutating func allow(_ rights: Rights, beneath path: String) {
    rules.append(Rule(path: path, rights: rights))
  }
}

/// What came of a ruleset.
public struct LandlockOutcome: Hashable, Sendable {
  /// The kernel's ABI, 1 and up; nil where it has no Landlock or it is switched off.
  public var abi: Int?
  /// Paths of rules that are not there; what is made there later is denied.
  public var missing: [String] = []
  /// What this kernel cannot hold to; empty when all of the ruleset is in force.
  public var gaps: [String] = []
}

extension LandlockRuleset {
  /// What a kernel with this ABI cannot hold to of these rules, as clauses.
  public func gaps(abi: Int?) -> [String] {
    guard let abi else { return ["file access is not limited: the kernel has no Landlock"] }
    let needs: [(abi: Int, isWanted: Bool, what: String)] = [
      (2, true, "moving files between directories"), (3, true, "truncating files"), (4, deniesTCP, "TCP"),
      (5, true, "ioctl(2) on devices"),
      (6, !scopes.isEmpty, "reaching abstract Unix sockets and signalling other processes"),
    ]
    return needs.filter { $0.isWanted && abi < $0.abi }
      .map { "\($0.what) is not limited: Landlock's ABI is \(abi), \($0.abi) is needed" }
  }
}

/// The kernel's Landlock.
public enum Landlock {
  /// Its ABI; nil where there is none.
  public static var abi: Int? {
    let abi = linux_landlock_abi()
    return abi > 0 ? Int(abi) : nil
  }
}

extension LandlockRuleset {
  /// A ruleset that the kernel has and that binds nobody yet.
  struct Prepared: ~Copyable {
    fileprivate let descriptor: Int32
    let outcome: LandlockOutcome

    fileprivate init(descriptor: Int32, outcome: LandlockOutcome) {
      (self.descriptor, self.outcome) = (descriptor, outcome)
    }

    deinit { if descriptor >= 0 { close(descriptor) } }

    /// Binds the calling thread and all it starts.
    ///
    /// - Precondition: no_new_privs, or CAP_SYS_ADMIN.
    func restrictThisThread() throws(ConfinementError) {
      guard descriptor >= 0 else { return }
      try step("restrict the process by Landlock") { linux_landlock_restrict(descriptor) }
    }
  }

  /// Hands the rules to the kernel, as far as it knows them.
  ///
  /// The paths are opened now, with the rights of now.
  func prepare(abi: Int? = Landlock.abi) throws(ConfinementError) -> Prepared {
    guard let abi else {
      return Prepared(descriptor: -1, outcome: LandlockOutcome(gaps: gaps(abi: nil)))
    }
    let known = Rights.known(to: abi)
    var attributes = linux_landlock_ruleset(
      files: known.rawValue, network: deniesTCP && abi >= 4 ? 3 : 0, scopes: abi >= 6 ? scopes.rawValue : 0)
    let size = abi >= 6 ? 24 : abi >= 4 ? 16 : 8
    let descriptor = linux_landlock_create(&attributes, size)
    guard descriptor >= 0 else { throw .refused(step: "make a Landlock ruleset", lastErrno()) }
    do throws(ConfinementError) {
      return Prepared(
        descriptor: descriptor,
        outcome: LandlockOutcome(
          abi: abi, missing: try add(to: descriptor, known), gaps: gaps(abi: abi)))
    } catch {
      close(descriptor)
      throw error
    }
  }

  /// - Returns: The paths that are not there.
  private func add(to ruleset: Int32, _ known: Rights) throws(ConfinementError) -> [String] {
    var missing: [String] = []
    for rule in rules {
      let path = linux_open_path(rule.path)
      guard path >= 0 else {
        missing.append(rule.path)
        continue
      }
      defer { close(path) }
      var status = stat()
      let isDirectory = fstat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
      let rights = rule.rights.intersection(known).intersection(isDirectory ? known : .ofFiles)
      guard !rights.isEmpty else { continue }
      try step("allow '\(rule.path)' in a Landlock ruleset") {
        linux_landlock_allow_path(ruleset, path, rights.rawValue)
      }
    }
    return missing
  }
}
