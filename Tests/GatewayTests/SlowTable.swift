import Addressing
import Dispatch
import Firewall
import Keeper
import Synchronization

/// A table in place of the kernel's: it takes what it is told, at once or when the test says so.
final class SlowTable: Fence {
  typealias Completion = @Sendable (FenceError?) -> Void
  private struct Change: Sendable {
    var rules: FenceRules
    var revoked: Set<UInt32>
    var completion: Completion
  }
  private struct State {
    var rules: FenceRules?
    var waiting: [Change] = []
    var isHeld = false
    /// The prefix that each number was given to, ever.
    var owners: [UInt32: IPPrefix] = [:]
    var faults: [String] = []
    var changes = 0
  }

  private let state = Mutex(State())
  private let queue = DispatchQueue(label: "test.table")
  /// In microseconds, how long the next change takes; nil: it fails.
  private let pace: @Sendable (Int) -> Int?

  init(pace: @escaping @Sendable (Int) -> Int? = { _ in 0 }) { self.pace = pace }

  var rules: FenceRules? { state.withLock { $0.rules } }
  var waiting: Int { state.withLock { $0.waiting.count } }
  var faults: [String] { state.withLock { $0.faults } }

  /// From now on nothing is taken before `letThrough`.
  func hold() { state.withLock { $0.isHeld = true } }

  func letThrough(_ count: Int = 1, failing failure: FenceError? = nil) {
    for _ in 0..<count {
      let change = state.withLock { $0.waiting.isEmpty ? nil : $0.waiting.removeFirst() }
      if let change { take(change, failing: failure) }
    }
  }

  func install(_ rules: FenceRules) throws(FenceError) { note(rules, revoked: []) }

  func replace(_ rules: FenceRules, revoked: Set<UInt32>, completion: @escaping Completion) {
    let change = Change(rules: rules, revoked: revoked, completion: completion)
    let number = state.withLock { state -> Int? in
      if !state.waiting.isEmpty { state.faults.append("a change was ordered while another was under way") }
      state.changes += 1
      Self.own(rules, in: &state)
      state.waiting.append(change)
      return state.isHeld ? nil : state.changes
    }
    guard let number else { return }
    let pace = pace(number)
    queue.asyncAfter(deadline: .now() + .microseconds(pace ?? 0)) { [self] in
      letThrough(failing: pace == nil ? FenceError("as the test wants") : nil)
    }
  }

  private func take(_ change: Change, failing failure: FenceError?) {
    if failure == nil { note(change.rules, revoked: change.revoked) }
    change.completion(failure)
  }

  private func note(_ rules: FenceRules, revoked: Set<UInt32>) {
    state.withLock { state in
      let before = state.rules?.marks ?? []
      if !before.subtracting(rules.marks).isSubset(of: revoked) { state.faults.append("flows went on") }
      if !revoked.isDisjoint(with: rules.marks) { state.faults.append("a number that ends is granted") }
      state.rules = rules
    }
  }

  /// What was ordered may be in the kernel even where nobody says so.
  private static func own(_ rules: FenceRules, in state: inout State) {
    for grant in rules.grants.joined() {
      guard case .allow(let mark) = grant.verdict else { continue }
      if state.owners[mark, default: grant.prefix] != grant.prefix {
        state.faults.append("\(mark) given twice")
      }
      state.owners[mark] = grant.prefix
      if !rules.marks.contains(mark) { state.faults.append("a grant without its number") }
    }
  }

  func start(_ notice: @escaping @Sendable (FenceNotice) -> Void) {}
  func open(_ openings: [FenceOpening], completion: @escaping @Sendable (Bool) -> Void) { completion(true) }
  func report(completion: @escaping @Sendable (FenceState?) -> Void) { completion(.unknown) }
  func count(completion: @escaping @Sendable ([Heldback: UInt64]?) -> Void) { completion(nil) }
  var sampleDelay: DispatchTimeInterval { .milliseconds(1) }
  func end() {}
}
