import CNetfilter
import Glibc

// The C constants arrive in three shapes: a named enum as a struct, an
// anonymous enum as Int, a macro as Int32. These turn each into the attribute
// number or the 32-bit value that the libraries take.

func attribute<Constant: RawRepresentable<UInt32>>(_ constant: Constant) -> UInt16 {
  UInt16(truncatingIfNeeded: constant.rawValue)
}

func attribute(_ constant: Int) -> UInt16 { UInt16(truncatingIfNeeded: constant) }

func word<Constant: RawRepresentable<UInt32>>(_ constant: Constant) -> UInt32 { constant.rawValue }

func word(_ constant: Int) -> UInt32 { UInt32(truncatingIfNeeded: constant) }

func word(_ constant: Int32) -> UInt32 { UInt32(bitPattern: constant) }

extension Family {
  /// - Source: `NFPROTO_*` in linux/netfilter.h.
  var number: UInt16 {
    switch self {
    case .inet: 1
    case .netdev: 5
    }
  }

  init?(number: UInt32) {
    guard let match = Family.allCases.first(where: { UInt32($0.number) == number }) else { return nil }
    self = match
  }
}

extension Chain.Hook {
  /// - Source: `enum nf_inet_hooks`, `enum nf_dev_hooks` in linux/netfilter.h.
  var number: UInt32 {
    switch self {
    case .prerouting: 0
    case .input, .egress: 1
    case .forward: 2
    case .output: 3
    case .postrouting: 4
    }
  }
}

extension Chain.Policy {
  /// - Source: `NF_DROP`, `NF_ACCEPT` in linux/netfilter.h.
  var number: UInt32 { self == .drop ? 0 : 1 }
}
