import SystemPackage

/// Why an address cannot be listened on, and what to do about it.
public struct ListenError: Error, Hashable, Sendable, CustomStringConvertible {
  /// The address asked for.
  public let address: BindAddress
  /// What the system said.
  public let error: Errno

  init(_ address: BindAddress, _ error: Errno) {
    self.address = address
    self.error = error
  }

  public var description: String { "cannot listen on \(address): \(cause). \(remedy)." }

  private var cause: String {
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
