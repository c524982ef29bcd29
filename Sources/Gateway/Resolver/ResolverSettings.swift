import Addressing
import SystemPackage

/// The system's own choice of resolvers.
///
/// - Source: resolv.conf(5). Only `nameserver` counts: names are absolute, so
///   there is no search list, and the limits are our own.
public enum ResolverSettings {
  /// MAXNS of the C library: further lines do not count.
  static let maximumUpstreams = 3
  /// In bytes; what is behind is not read.
  static let maximumSize = 64 * 1024

  /// Reads the `nameserver` lines, in order, with port 53. An address with a
  /// zone is left out.
  public static func parse(resolvConf bytes: [UInt8]) -> [Endpoint] {
    var upstreams: [Endpoint] = []
    for line in bytes.prefix(maximumSize).split(separator: UInt8(ascii: "\n")) {
      let fields = line.split(whereSeparator: isBlank)
      guard fields.count >= 2, fields[0].elementsEqual("nameserver".utf8), let address = IPAddress(fields[1])
      else { continue }
      upstreams.append(Endpoint(address, .domain))
    }
    return Array(upstreams.prefix(maximumUpstreams))
  }

  /// Reads the file at `path`.
  ///
  /// - Throws: `ResolverSettingsError` when it cannot be read or names none.
  public static func load(path: String = "/etc/resolv.conf") throws(ResolverSettingsError) -> [Endpoint] {
    let bytes: [UInt8]
    do { bytes = try BoundedFile.read(path, limit: maximumSize) } catch { throw .unreadable(path, error) }
    let upstreams = parse(resolvConf: bytes)
    guard !upstreams.isEmpty else { throw .noResolver(path) }
    return upstreams
  }
}

/// Why the system names no resolver.
public enum ResolverSettingsError: Error, Hashable, Sendable, CustomStringConvertible {
  /// The file cannot be read.
  case unreadable(String, Errno)
  /// The file has no usable `nameserver` line.
  case noResolver(String)

  public var description: String {
    switch self {
    case .unreadable(let path, let error): "\(path): cannot be read: \(error). \(Self.remedy)."
    case .noResolver(let path): "\(path): no resolver: there is no usable nameserver line. \(Self.remedy)."
    }
  }

  private static let remedy = "Add one, or name one with --dns-upstream ADDRESS[:PORT]"
}
