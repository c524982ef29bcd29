import Addressing

/// Where a connection went before it was led to the gate, and what of that a
/// client's first words may make more precise.
public struct CapturedPlace: Hashable, Sendable {
  /// How the host of the destination is found.
  public enum Naming: Hashable, Sendable {
    /// The address stood for this name, and no other may be given.
    case name(Hostname)
    /// The client may name the host; else it is the address.
    case byClient
    /// It is the address, whatever the client says.
    case address
  }

  /// What the client connected to.
  public var endpoint: Endpoint
  /// How the host is found.
  public var naming: Naming

  /// Makes a place.
  public init(_ endpoint: Endpoint, _ naming: Naming) {
    self.endpoint = endpoint
    self.naming = naming
  }

  /// The host as far as it is known before the client has said anything.
  public var host: Host { host(named: nil) }

  /// The host, where the client gives `name` or none. A name that it may not
  /// give is passed over: whoever asks compares.
  public func host(named name: Hostname?) -> Host {
    switch naming {
    case .name(let own): .name(own)
    case .byClient: name.map(Host.name) ?? .address(endpoint.address)
    case .address: .address(endpoint.address)
    }
  }

  /// Where a request goes whose authority is `text`; nil: it has none.
  ///
  /// - Throws: `.host` for what is no authority, `.hostMismatch` for one that
  ///   names another name, address or port than the connection did.
  func authority(_ text: ArraySlice<UInt8>?) throws(RequestError) -> Authority {
    guard let text else { return Authority(host, endpoint.port) }
    guard let given = try? Authority(text, defaultPort: endpoint.port) else { throw .host }
    return try authority(given)
  }

  func authority(_ given: Authority) throws(RequestError) -> Authority {
    let isAddress = given.host == .address(endpoint.address)
    switch (naming, given.host) {
    case (.address, _): return Authority(host, endpoint.port)
    case _ where given.port != endpoint.port: throw .hostMismatch
    case (.byClient, .name): return given
    case (.name(let own), .name(let name)) where own == name: return given
    case (.name, _) where isAddress, (.byClient, _) where isAddress: return Authority(host, endpoint.port)
    default: throw .hostMismatch
    }
  }
}

/// The target of a request to a server (RFC 9112 §3.2).
enum OriginTarget {
  case path(String)
  /// As to a proxy, which servers must take, too (RFC 9112 §3.2.2).
  case absolute(Authority, pathAndQuery: String)

  init(_ bytes: ArraySlice<UInt8>, _ method: String) throws(RequestError) {
    guard method != "CONNECT" else { throw .method }
    let isWhole = method == "OPTIONS" && bytes.elementsEqual("*".utf8)
    if bytes.first == UInt8(ascii: "/") || isWhole {
      guard !bytes.contains(UInt8(ascii: "#")) else { throw .target }
      self = .path(String(decoding: bytes, as: UTF8.self))
    } else if case .absolute(let authority, let path) = try readAbsoluteForm(bytes, method) {
      self = .absolute(authority, pathAndQuery: path)
    } else {
      throw .target
    }
  }

  /// The same as a proxy's client would write it.
  func resolved(
    at place: CapturedPlace, _ fields: FieldList, _ version: HTTPVersion
  ) throws(RequestError) -> RequestTarget {
    let count = fields.count(of: .host)
    guard count == 1 || count == 0 && version == .http10 else { throw .host }
    let authority = try place.authority(fields.first(.host))
    switch self {
    case .path(let path): return .absolute(authority, pathAndQuery: path)
    case .absolute(let given, let path):
      guard try place.authority(given) == authority else { throw .hostMismatch }
      return .absolute(authority, pathAndQuery: path)
    }
  }
}
