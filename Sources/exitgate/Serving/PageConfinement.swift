import Confinement
import Glibc
import Review
import ReviewPage

/// Giving up what the review page does not need, before a browser speaks to it.
struct PageConfinement {
  private let writable: [String]

  /// Finds out where the page of `settings` writes, and opens the libraries that it needs.
  init(_ settings: ReviewSettings) {
    writable = [
      LogIndex(ofLogAt: settings.log).prepare(),
      settings.overlay.map { directory(of: $0) },
    ].compactMap(\.self)
  }

  /// Confines the process.
  ///
  /// - Returns: What the kernel cannot hold it to, as clauses.
  /// - Throws: `Failure` when the kernel refuses a step that it knows.
  func apply() throws(Failure) -> [String] {
    do throws(ConfinementError) { return try Confinement.apply(.page(writable: writable)).warnings } catch {
      throw Failure(.host, "the page cannot be confined: \(error)")
    }
  }
}

/// Who runs this (getpwuid(3)); nil where the user has no name.
func userName() -> String? {
  getpwuid(getuid())?.pointee.pw_name.map { String(cString: $0) }
}
