import CLinux
import Glibc

/// Has the scheduler take the gate for one that works in batches, before it has threads.
///
/// What comes for a gate comes from programs beside it, or wakes them: each connection some ten times. Woken, it then
/// waits for the one who runs to finish, and finds more to do at once. Where other programs take all processors, that
/// was measured to cost about a millisecond for the slowest of a hundred connections, on Linux 6.18. The scheduler before
/// Linux 6.6 (EEVDF) was not measured, and has longer slices to wait for; there the gate stays as it is.
///
/// Whoever started the gate under another policy than the usual one (chrt(1), systemd's CPUSchedulingPolicy) has chosen.
///
/// - Source: sched(7), SCHED_BATCH.
func workInBatches() {
  guard sched_getscheduler(0) == SCHED_OTHER, hasEEVDF() else { return }
  var parameters = sched_param(sched_priority: 0)
  // Where it is forbidden, it is only slower.
  _ = sched_setscheduler(0, linux_sched_batch, &parameters)
}

/// Whether the kernel is Linux 6.6 or later.
private func hasEEVDF() -> Bool {
  var name = utsname()
  guard uname(&name) == 0 else { return false }
  let release = withUnsafeBytes(of: name.release) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
  let numbers = release.split { !$0.isNumber }.prefix(2).compactMap { Int($0) }
  return numbers.count == 2 && (numbers[0], numbers[1]) >= (6, 6)
}
