import CLinux
import Glibc

/// A pipe that carries bytes between two sockets inside the kernel.
final class Pipe {
  /// In bytes: 64 KiB pipes lose against copying, larger ones than 1 MiB need a raised limit (pipe(7)).
  static let capacity = 1 << 20

  let readEnd: Int32
  let writeEnd: Int32
  /// The bytes inside.
  var count = 0
  /// How many of them, the last ones, must never leave.
  var excess = 0

  /// Makes a pipe; nil when descriptors, or the pages an ordinary user may hold
  /// in pipes (64 pipes of this size; pipe-user-pages-soft in pipe(7)), are used up.
  init?() {
    var ends: (Int32, Int32) = (-1, -1)
    let made = withUnsafeMutableBytes(of: &ends) {
      linux_pipe($0.assumingMemoryBound(to: Int32.self).baseAddress)
    }
    guard made == 0 else { return nil }
    (readEnd, writeEnd) = ends
    guard linux_set_pipe_size(writeEnd, Int32(Self.capacity)) >= Self.capacity else { return nil }
  }

  deinit {
    _ = Glibc.close(readEnd)
    _ = Glibc.close(writeEnd)
  }
}

/// The pipes of one loop. A relay holds one only while bytes are inside.
final class PipePool {
  /// Pipes of a loop at most: 32 MiB, half of what an ordinary user may hold.
  private static let limit = 32
  /// Empty pipes kept: 2 descriptors each, no pages.
  private static let kept = 16
  /// How many requests are refused after the kernel refused one, before it is asked again.
  private static let patience = 256

  /// See `EventLoop.descriptorCeiling`.
  var descriptorCeiling: Int32 = .max
  private var free: [Pipe] = []
  private var made = 0
  private var refusals = 0

  /// Takes an empty pipe; nil when there is none to be had: copy then.
  func take() -> Pipe? {
    if let pipe = free.popLast() { return pipe }
    guard made < Self.limit else { return nil }
    if refusals > 0 {
      refusals -= 1
      return nil
    }
    guard let pipe = Pipe(), max(pipe.readEnd, pipe.writeEnd) < descriptorCeiling else {
      refusals = Self.patience
      return nil
    }
    made += 1
    return pipe
  }

  /// Gives a pipe back; one with bytes inside is closed.
  func give(_ pipe: Pipe) {
    pipe.excess = 0
    guard pipe.count == 0, free.count < Self.kept else {
      made -= 1
      return
    }
    free.append(pipe)
  }

  /// Closes the pipes that are kept.
  func drain() {
    made -= free.count
    free = []
  }
}
