import Glibc

/// One instruction of a classic BPF program.
///
/// - Source: linux/filter.h `struct sock_filter`, linux/bpf_common.h.
public struct FilterInstruction: Hashable, Sendable {
  public var code: UInt16
  /// Instructions to pass over when a comparison holds, and when it does not.
  public var jumpTrue: UInt8 = 0
  public var jumpFalse: UInt8 = 0
  public var k: UInt32

  /// Loads the word at an offset of `struct seccomp_data`.
  static func load(_ offset: UInt32) -> Self { Self(code: 0x20, k: offset) }
  /// Keeps the bits of `mask`.
  static func and(_ mask: UInt32) -> Self { Self(code: 0x54, k: mask) }
  /// Passes over `count` instructions.
  static func jump(_ count: Int) -> Self { Self(code: 0x05, k: UInt32(count)) }
  static func ifEqual(_ k: UInt32, then: UInt8, otherwise: UInt8) -> Self {
    Self(code: 0x15, jumpTrue: then, jumpFalse: otherwise, k: k)
  }
  static func ifAtLeast(_ k: UInt32, then: UInt8, otherwise: UInt8) -> Self {
    Self(code: 0x35, jumpTrue: then, jumpFalse: otherwise, k: k)
  }
  static func end(_ action: SeccompFilter.Action) -> Self { Self(code: 0x06, k: action.code) }
}

/// Offsets in `struct seccomp_data` (linux/seccomp.h), in bytes.
private enum Field {
  static let number: UInt32 = 0
  static let architecture: UInt32 = 4
  /// Argument `index`, its low half on a little-endian machine.
  static func low(_ index: Int) -> UInt32 { 16 + 8 * UInt32(index) }
  static func high(_ index: Int) -> UInt32 { low(index) + 4 }
}

extension SeccompFilter {
  /// The filter as the kernel runs it: foreign ABIs are killed, then the number
  /// is sought by halving, since every call passes here.
  ///
  /// A number above all that this program knows fails with ENOSYS, as it would
  /// on an older kernel: what a newer libc then tries instead is known here.
  public func program(for architecture: Architecture) -> [FilterInstruction] {
    var program: [FilterInstruction] = [
      .load(Field.architecture),
      .ifEqual(architecture.auditValue, then: 1, otherwise: 0), .end(.kill),
      .load(Field.number),
    ]
    if let foreign = architecture.foreignNumbers {
      program += [.ifAtLeast(foreign, then: 0, otherwise: 1), .end(.kill)]
    }
    return program + search(ranges(for: architecture)[...])
  }

  /// A run of numbers that are answered alike, up to the next one's start.
  private struct Range {
    var start: UInt32
    var body: [FilterInstruction]
  }

  private func ranges(for architecture: Architecture) -> [Range] {
    var bodies: [UInt32: [FilterInstruction]] = [:]
    for (call, entry) in entries {
      if let number = call.number(on: architecture) { bodies[number] = body(of: entry) }
    }
    let end = (Syscall.all.compactMap { $0.number(on: architecture) }.max() ?? 0) + 1
    var ranges: [Range] = []
    for number in 0...end {
      let body = number == end ? [.end(.fail(ENOSYS))] : bodies[number] ?? [.end(otherwise)]
      if ranges.last?.body != body { ranges.append(Range(start: number, body: body)) }
    }
    return ranges
  }

  /// Halves the ranges until one is left; the number stays in the accumulator until then.
  private func search(_ ranges: ArraySlice<Range>) -> [FilterInstruction] {
    guard ranges.count > 1 else { return ranges.first?.body ?? [.end(otherwise)] }
    let middle = ranges.startIndex + ranges.count / 2
    let below = search(ranges[..<middle]), above = search(ranges[middle...])
    // A conditional jump reaches 255 instructions, an unconditional one any.
    let branch: [FilterInstruction] =
      below.count <= 255
      ? [.ifAtLeast(ranges[middle].start, then: UInt8(below.count), otherwise: 0)]
      : [.ifAtLeast(ranges[middle].start, then: 0, otherwise: 1), .jump(below.count)]
    return branch + below + above
  }

  private func body(of entry: Entry) -> [FilterInstruction] {
    guard !entry.alternatives.isEmpty else { return [.end(entry.action)] }
    return entry.alternatives.flatMap { alternative($0, then: entry.action) } + [
      .end(entry.otherwise ?? otherwise)
    ]
  }

  /// The tests of one alternative; the first that fails leads to what stands behind it.
  private func alternative(_ tests: [Test], then action: Action) -> [FilterInstruction] {
    var code: [FilterInstruction] = [.end(action)]
    for test in tests.reversed() {
      for (offset, shift) in [(Field.low(test.index), UInt64(0)), (Field.high(test.index), 32)] {
        let mask = UInt32(truncatingIfNeeded: test.mask >> shift)
        let value = UInt32(truncatingIfNeeded: test.value >> shift)
        guard mask != 0 else { continue }
        let load: [FilterInstruction] = [.load(offset)] + (mask == .max ? [] : [.and(mask)])
        // At most 6 arguments of 6 instructions each: the jump always reaches.
        code = load + [.ifEqual(value, then: 0, otherwise: UInt8(code.count))] + code
      }
    }
    return code
  }
}
