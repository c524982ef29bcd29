import Addressing
import CPSL

/// The list of names under which anybody may register, private section included.
///
/// - Source: publicsuffix.org, as libpsl and the system's own data have it.
struct PublicSuffixes: @unchecked Sendable {
  // A pointer is not Sendable by itself. This one is never freed, and libpsl
  // only reads through it (psl_ctx_t const *), so any thread may use it.
  private let list: OpaquePointer?

  /// The system's list, or the one built into libpsl when that is newer.
  static let system = PublicSuffixes()

  private init() {
    list = psl_latest(nil) ?? psl_builtin()
  }

  /// Whether there is any data; without it no wildcard can be judged.
  var isAvailable: Bool { list != nil }

  /// Whether different parties may own names directly below `name`.
  func isPublicSuffix(_ name: Hostname) -> Bool {
    psl_is_public_suffix(list, name.text) != 0
  }

  /// Whether a wildcard over `name` takes in the names of several parties: it
  /// is a public suffix, or the list has `*.name`.
  func isShared(_ name: Hostname) -> Bool {
    isPublicSuffix(name) || psl_is_public_suffix(list, "exitgate-any." + name.text) != 0
  }

  /// The public suffix of `name` and one label more, or nil for a suffix itself.
  func registeredDomain(of name: Hostname) -> Hostname? {
    // What it gives points into what it was given.
    let domain = name.text.withCString { text in
      psl_registrable_domain(list, text).map { String(cString: $0) }
    }
    return domain.flatMap { try? Hostname($0) }
  }
}

/// The name that was registered: the public suffix and one label more, as in
/// `example.com` for `a.b.example.com`; nil for a public suffix itself.
public func registeredDomain(of name: Hostname) -> Hostname? {
  PublicSuffixes.system.registeredDomain(of: name)
}

/// Whether a wildcard below `name` would take in several parties' names: it is a public suffix, or above one.
public func isSharedSuffix(_ name: Hostname) -> Bool {
  !PublicSuffixes.system.isAvailable || PublicSuffixes.system.isShared(name)
}
