import Addressing

/// The hosts file: addresses of names that no upstream is asked about.
///
/// - Source: hosts(5).
public struct HostsFile: Hashable, Sendable {
  private var addresses: [Hostname: [IPAddress]] = [:]

  /// In bytes; what is behind is not read.
  static let maximumSize = 1 << 20
  /// Names; further ones are left out.
  static let maximumNames = 65_536

  /// A file without lines.
  public init() {}

  /// Reads a file's content. A line that is no address and names, a name that
  /// is no host name, and an address with a zone are left out, as the C
  /// library leaves them out.
  public static func parse(_ bytes: [UInt8]) -> HostsFile {
    var file = HostsFile()
    for line in bytes.prefix(maximumSize).split(separator: UInt8(ascii: "\n")) {
      let fields = line.prefix { $0 != UInt8(ascii: "#") }.split(whereSeparator: isBlank)
      guard let first = fields.first, let address = IPAddress(first) else { continue }
      for field in fields.dropFirst() { file.add(address, to: field) }
    }
    return file
  }

  /// Reads the file at `path`; one that cannot be read counts as empty.
  public static func load(path: String = "/etc/hosts") -> HostsFile {
    parse((try? BoundedFile.read(path, limit: maximumSize)) ?? [])
  }

  /// The addresses of `name` in the order of the file, at most 64; nil when it
  /// has none.
  public func addresses(of name: Hostname) -> [IPAddress]? { addresses[name] }

  /// The number of names.
  public var count: Int { addresses.count }

  private mutating func add(_ address: IPAddress, to field: ArraySlice<UInt8>) {
    guard let name = try? Hostname(field) else { return }
    let known = addresses[name] ?? []
    guard known.count < ResolverLimit.addresses, !known.contains(address) else { return }
    guard !known.isEmpty || addresses.count < Self.maximumNames else { return }
    addresses[name, default: []].append(address)
  }
}

func isBlank(_ byte: UInt8) -> Bool {
  byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t") || byte == UInt8(ascii: "\r")
}
