import CLinux
import Glibc
import SystemPackage

/// What a bound socket takes other than what is sent to its own address.
public struct ListenScope: Hashable, Sendable {
  /// Whether it takes what was sent to any address and was led to it by the
  /// kernel's table (`tproxy` of nft(8)), and answers from there.
  ///
  /// - Source: ip(7) IP_TRANSPARENT, which needs CAP_NET_ADMIN or CAP_NET_RAW.
  public var isTransparent: Bool
  /// The only interface it takes from; nil for all.
  ///
  /// - Source: socket(7) SO_BINDTODEVICE.
  public var device: String?

  /// Makes a scope.
  public init(isTransparent: Bool = false, device: String? = nil) {
    self.isTransparent = isTransparent
    self.device = device
  }

  /// What is sent to its own address, by any interface.
  public static let plain = ListenScope()

  /// The longest name of an interface in bytes: IFNAMSIZ without its NUL. The kernel cuts longer ones.
  static let longestDevice = 15

  /// Sets it on a socket that is not bound yet.
  func apply(to fd: Int32, _ family: Int32, of address: BindAddress) throws(ListenError) {
    if isTransparent, linux_set_transparent(fd, family) != 0 {
      throw ListenError(address, lastError(), asked: .transparency)
    }
    guard let device else { return }
    let name = Array(device.utf8)
    guard (1...Self.longestDevice).contains(name.count), !name.contains(0) else {
      throw ListenError(address, .noSuchAddressOrDevice, asked: .device(device))
    }
    let result = name.withUnsafeBytes {
      linux_bind_to_device(
        fd, $0.baseAddress?.assumingMemoryBound(to: CChar.self), socklen_t($0.count))
    }
    if result != 0 { throw ListenError(address, lastError(), asked: .device(device)) }
  }
}
