import CLinux
import Glibc

/// Has every two threads that can run at once share a heap, before there are any.
///
/// Dispatch lets a loop run on one thread and then on another, and the C library gives each thread a heap of its own,
/// in which what was freed waits for that thread: a tunnel of the first thousand then takes half as much again. What is
/// small comes from a thread's own cache, without the heap's lock (mallopt(3), M_ARENA_MAX; malloc(3), tcache).
func shareHeap() {
  linux_limit_heaps(Int32(clamping: max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN)) / 2)))
}

/// Gives back the memory that only the start needed: what was freed since, and
/// the pages of code and tables that read flags, policies and the machine.
///
/// Before anything is served, so that what serves is still there afterwards, and the first connections find it.
/// Those pages are a file's and unwritten, so whatever is needed again is mapped
/// again from the page cache; until then the kernel may take them for others.
/// See madvise(2), MADV_DONTNEED of a file's private mapping.
func returnStartPages() {
  linux_trim_heap()
  linux_visit_segments { address, length, flags in
    guard flags & UInt32(PF_W) == 0 else { return }
    let first = address & ~(UInt(getpagesize()) - 1)
    _ = madvise(
      UnsafeMutableRawPointer(bitPattern: first), Int(address + UInt(length) - first), MADV_DONTNEED)
  }
}
