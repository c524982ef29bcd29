import CLinux
import Glibc

/// Has the scheduler take the gate for one that works in batches, before it has threads.
///
/// What comes for a gate comes from programs beside it, or wakes them: each connection some ten times. Woken, it then
/// waits for the one who runs to finish, and finds more to do at once; nobody waits longer than a turn of the scheduler.
/// Where all processors are busy with other things that is as it was. Whoever started the gate under another policy
/// (chrt(1), systemd's CPUSchedulingPolicy) has chosen.
///
/// - Source: sched(7), SCHED_BATCH.
func workInBatches() {
  guard sched_getscheduler(0) == SCHED_OTHER else { return }
  var parameters = sched_param(sched_priority: 0)
  // Where it is forbidden, it is only slower.
  _ = sched_setscheduler(0, linux_sched_batch, &parameters)
}
