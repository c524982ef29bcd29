import CLinux
import Glibc

/// A moment on CLOCK_MONOTONIC, which no clock step moves.
public struct MonotonicTime: Comparable, Hashable, Sendable {
  /// In nanoseconds since an arbitrary start.
  public var nanoseconds: UInt64

  /// Takes nanoseconds of CLOCK_MONOTONIC.
  public init(nanoseconds: UInt64) {
    self.nanoseconds = nanoseconds
  }

  /// Reads the clock; through the vDSO, so no system call.
  public static func now() -> MonotonicTime {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return MonotonicTime(
      nanoseconds: UInt64(truncatingIfNeeded: time.tv_sec) &* 1_000_000_000
        &+ UInt64(truncatingIfNeeded: time.tv_nsec))
  }

  public static func < (left: MonotonicTime, right: MonotonicTime) -> Bool {
    left.nanoseconds < right.nanoseconds
  }

  /// The moment `duration` later; held at the end of the range, or at its start for a negative duration.
  public static func + (time: MonotonicTime, duration: Duration) -> MonotonicTime {
    let step = duration.clampedNanoseconds
    if step < 0 {
      return MonotonicTime(nanoseconds: time.nanoseconds - min(time.nanoseconds, step.magnitude))
    }
    let (sum, overflow) = time.nanoseconds.addingReportingOverflow(step.magnitude)
    return MonotonicTime(nanoseconds: overflow ? .max : sum)
  }

  /// How long after `right` the moment `left` comes; negative when before.
  public static func - (left: MonotonicTime, right: MonotonicTime) -> Duration {
    if left < right { return .zero - (right - left) }
    let difference = left.nanoseconds - right.nanoseconds
    return .nanoseconds(Int64(clamping: difference))
  }
}

/// The time since the host started, which goes on while it is suspended.
public enum BootTime {
  /// Reads CLOCK_BOOTTIME, in milliseconds; through the vDSO, so no system call.
  public static func milliseconds() -> Int64 {
    var time = timespec()
    clock_gettime(CLOCK_BOOTTIME, &time)
    return Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000
  }
}

extension Duration {
  /// Whole nanoseconds, held within ±292 years.
  var clampedNanoseconds: Int64 {
    let whole = attoseconds, short = Int64(truncatingIfNeeded: whole)
    // Below 9.2 s, which nearly all are: no division of 128 bits.
    if Int128(short) == whole { return short / 1_000_000_000 }
    let nanoseconds = whole / 1_000_000_000, held = Int64(truncatingIfNeeded: nanoseconds)
    return Int128(held) == nanoseconds ? held : whole < 0 ? .min : .max
  }
}
