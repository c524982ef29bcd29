import SystemPackage

/// Why an address cannot be listened on, and what to do about it.
public struct ListenError: Error, Hashable, Sendable, CustomStringConvertible {
  /// The address asked for.
  public let address: BindAddress
  /// What the system said.
  public let error: Errno
  /// What of its scope could not be had; nil when it was the address itself.
  public let asked: Part?

  /// A part of a `ListenScope`.
  public enum Part: Hashable, Sendable {
    /// To take what was sent to other addresses.
    case transparency
    /// To take from this interface alone.
    case device(String)
  }

  init(_ address: BindAddress, _ error: Errno, asked: Part? = nil) {
    self.address = address
    self.error = error
    self.asked = asked
  }

  public var description: String { "cannot listen on \(address): \(cause). \(remedy)." }

  private var cause: String {
    switch (asked, error) {
    case (.transparency, .notPermitted), (.transparency, .permissionDenied):
      return "not permitted to take what was sent to other addresses"
    case (.transparency, _): return "the kernel has no transparent sockets: \(error)"
    case (.device(let name), .notPermitted): return "not permitted to keep to the interface '\(name)'"
    case (.device(let name), _): return "there is no interface '\(name)'"
    case (nil, _): return addressCause
    }
  }

  private var addressCause: String {
    switch error {
    case .addressInUse: "something listens there already"
    case .permissionDenied, .notPermitted: "not permitted"
    case .addressNotAvailable: "the address is not one of this host's"
    case .fileExists: "the path exists and is not a socket"
    case .fileNameTooLong: "the path is empty or longer than 107 bytes"
    case .noSuchFileOrDirectory: "the directory does not exist"
    case .tooManyOpenFiles, .tooManyOpenFilesInSystem: "too many open files"
    default: "\(error)"
    }
  }

  private var remedy: String {
    switch asked {
    case .transparency: "Grant CAP_NET_ADMIN at the start"
    case .device: "Choose an interface that `ip link` shows, and grant CAP_NET_ADMIN at the start"
    case nil: addressRemedy
    }
  }

  private var addressRemedy: String {
    switch (error, address) {
    case (.addressInUse, _): "Stop the other process, or choose another address"
    case (.permissionDenied, .unix), (.notPermitted, .unix): "Choose a directory that you may write to"
    case (.permissionDenied, _), (.notPermitted, _): "Choose a port above 1023, or grant CAP_NET_BIND_SERVICE"
    case (.addressNotAvailable, _): "Choose an address that `ip address` shows"
    case (.fileExists, _): "Remove the file, or choose another path"
    case (.fileNameTooLong, _): "Choose a shorter path"
    case (.noSuchFileOrDirectory, _): "Make the directory first"
    case (.tooManyOpenFiles, _), (.tooManyOpenFilesInSystem, _): "Raise the limit on open files"
    default: "Choose another address"
    }
  }
}
