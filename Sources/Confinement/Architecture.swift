/// A processor's way of making system calls.
public enum Architecture: Hashable, Sendable, CaseIterable {
  case amd64, arm64

  /// What this program was built for; nil for one that has no table of system calls here.
  public static var current: Architecture? {
    #if arch(x86_64)
      .amd64
    #elseif arch(arm64)
      .arm64
    #else
      nil
    #endif
  }

  /// `seccomp_data.arch` of its calls.
  ///
  /// - Source: linux/audit.h, AUDIT_ARCH_X86_64 and AUDIT_ARCH_AARCH64: the ELF
  ///   machine, 64 bits (0x80000000), little-endian (0x40000000).
  public var auditValue: UInt32 { self == .amd64 ? 0xC000_003E : 0xC000_00B7 }

  /// The first number of a second ABI that reports the same `arch`: x32 on x86_64.
  ///
  /// - Source: asm/unistd.h, __X32_SYSCALL_BIT.
  var foreignNumbers: UInt32? { self == .amd64 ? 0x4000_0000 : nil }
}
