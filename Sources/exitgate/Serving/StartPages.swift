import CLinux
import Glibc

/// Gives back the memory that only the start needed: what was freed since, and
/// the pages of code and tables that read flags, policies and the machine.
///
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
