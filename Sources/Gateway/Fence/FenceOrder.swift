import Dispatch

/// The changes of what the loops and the kernel's table go by, one after the other: each begins when the one
/// before is in force, or has failed, and reads what is in force then. Orders to stop go first.
///
/// Confined to the gate's queue.
struct FenceOrder {
  /// One change; it calls `done` once, on the gate's queue.
  typealias Step = (_ done: @escaping @Sendable () -> Void) -> Void

  private var urgent: [Step] = []
  private var waiting: [Step] = []
  private var isUnderWay = false

  /// Whether nothing is under way, and nothing waits.
  var isIdle: Bool { !isUnderWay && urgent.isEmpty && waiting.isEmpty }

  mutating func add(_ step: @escaping Step, isUrgent: Bool) {
    if isUrgent { urgent.append(step) } else { waiting.append(step) }
  }

  /// The next one, which is under way from now on; nil where one is, or none waits.
  mutating func begin() -> Step? {
    guard !isUnderWay, !(urgent.isEmpty && waiting.isEmpty) else { return nil }
    isUnderWay = true
    return urgent.isEmpty ? waiting.removeFirst() : urgent.removeFirst()
  }

  /// The one under way is over.
  mutating func end() { isUnderWay = false }
}

extension Gate {
  /// Does `step` when all before it are done: every change of the snapshot that the kernel's table follows.
  ///
  /// - Parameter isUrgent: Before all that have not begun.
  func inOrder(isUrgent: Bool = false, _ step: @escaping FenceOrder.Step) {
    dispatchPrecondition(condition: .onQueue(queue))
    order.add(step, isUrgent: isUrgent)
    beginNext()
  }

  private func beginNext() {
    guard let step = order.begin() else { return }
    step { [self] in
      queue.async { [self] in
        order.end()
        beginNext()
      }
    }
  }
}
