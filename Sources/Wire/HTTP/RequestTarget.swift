import Addressing

/// Where a request wants to go: the two forms of target that a proxy takes.
public enum RequestTarget: Hashable, Sendable {
  /// `host:port` of a CONNECT (RFC 9112 §3.2.3).
  case authority(Authority)
  /// An `http` URI (RFC 9112 §3.2.2). `pathAndQuery` is visible ASCII as it was
  /// sent, starts with `/`, or is `*` for OPTIONS of the whole server.
  case absolute(Authority, pathAndQuery: String)

  /// The host and port, whichever form it is.
  public var authority: Authority {
    switch self {
    case .authority(let authority), .absolute(let authority, _): authority
    }
  }

  /// The path without the query; nil for CONNECT.
  public var path: String? {
    guard case .absolute(_, let pathAndQuery) = self else { return nil }
    let utf8 = pathAndQuery.utf8
    return String(pathAndQuery[..<(utf8.firstIndex(of: UInt8(ascii: "?")) ?? utf8.endIndex)])
  }
}

/// The start line of a request.
struct RequestLine {
  var method: String
  var target: LineTarget
  var version: HTTPVersion

  /// The longest method in bytes; the longest registered one has 17.
  static let maximumMethodLength = 32
}

extension RequestLine {
  /// Reads a request line without its CR LF: two single spaces, no other.
  ///
  /// - Parameter isCaptured: Whether the client takes the gate for the server.
  init(_ line: ArraySlice<UInt8>, isCaptured: Bool) throws(RequestError) {
    guard let first = line.firstIndex(of: space), let last = line.lastIndex(of: space) else {
      throw .requestLine
    }
    method = try readMethod(line[..<first])
    guard first < last else { throw .badVersion }
    version = try readVersion(line[(last + 1)...])
    let target = line[(first + 1)..<last]
    guard !target.isEmpty, target.allSatisfy(isVisible) else { throw .requestLine }
    guard !isCaptured else {
      self.target = .origin(try OriginTarget(target, method))
      return
    }
    self.target = .proxy(
      try method == "CONNECT" ? readAuthorityForm(target) : readAbsoluteForm(target, method))
  }
}

/// A target as the line has it, which may need `Host` to be whole.
enum LineTarget {
  case proxy(RequestTarget)
  case origin(OriginTarget)

  func resolved(
    at place: CapturedPlace?, _ fields: FieldList, _ version: HTTPVersion
  ) throws(RequestError) -> RequestTarget {
    switch (self, place) {
    case (.proxy(let target), _):
      try checkHostField(fields, target: target)
      return target
    case (.origin(let target), let place?): return try target.resolved(at: place, fields, version)
    case (.origin, nil): throw .target
    }
  }
}

/// Methods are case-sensitive (RFC 9110 §9.1), yet some servers fold them, so
/// that `post` would slip past a rule on POST: lower case is refused.
private func readMethod(_ bytes: ArraySlice<UInt8>) throws(RequestError) -> String {
  guard !bytes.isEmpty, bytes.count <= RequestLine.maximumMethodLength,
    bytes.allSatisfy({ isToken($0) && !isLowerCaseLetter($0) })
  else { throw .requestLine }
  let method = String(decoding: bytes, as: UTF8.self)
  guard method != "TRACE" else { throw .method }
  return method
}

private func readVersion(_ bytes: ArraySlice<UInt8>) throws(RequestError) -> HTTPVersion {
  if bytes.elementsEqual("HTTP/1.1".utf8) { return .http11 }
  if bytes.elementsEqual("HTTP/1.0".utf8) { return .http10 }
  let isVersion =
    bytes.count == 8 && bytes.starts(with: "HTTP/".utf8)
    && bytes.suffix(3).allSatisfy { isDecimal($0) || $0 == UInt8(ascii: ".") }
    && bytes.dropLast().last == UInt8(ascii: ".")
  throw isVersion ? .unsupportedVersion : .badVersion
}

private func readAuthorityForm(_ bytes: ArraySlice<UInt8>) throws(RequestError) -> RequestTarget {
  do { return .authority(try Authority(bytes)) } catch { throw .authority }
}

private let schemeHTTP = "http"
private let schemeEnd = Array("://".utf8)
/// Bytes at which other parsers would end an authority or read it anew.
private let authorityDelimiters = Array("?#\\;".utf8)

func readAbsoluteForm(
  _ bytes: ArraySlice<UInt8>, _ method: String
) throws(RequestError) -> RequestTarget {
  let rest = try dropScheme(bytes)
  let slash = rest.firstIndex(of: UInt8(ascii: "/")) ?? rest.endIndex
  let host = rest[..<slash], path = rest[slash...]
  guard !host.isEmpty, !host.contains(where: authorityDelimiters.contains),
    !path.contains(UInt8(ascii: "#"))
  else { throw .target }
  guard let authority = try? Authority(host, defaultPort: .http) else { throw .authority }
  let emptyPath = method == "OPTIONS" ? "*" : "/"
  return .absolute(authority, pathAndQuery: path.isEmpty ? emptyPath : String(decoding: path, as: UTF8.self))
}

/// What follows `http://`.
private func dropScheme(_ bytes: ArraySlice<UInt8>) throws(RequestError) -> ArraySlice<UInt8> {
  guard let colon = bytes.firstIndex(of: UInt8(ascii: ":")), bytes[colon...].starts(with: schemeEnd),
    bytes[..<colon].allSatisfy(isSchemeByte)
  else { throw .target }
  guard equalsIgnoringCase(bytes[..<colon], schemeHTTP) else { throw .scheme }
  return bytes[(colon + schemeEnd.count)...]
}

/// RFC 3986 §3.1, except that the first byte may be any of them.
private func isSchemeByte(_ byte: UInt8) -> Bool {
  isDecimal(byte) || isLowerCaseLetter(lowerCased(byte)) || "+-.".utf8.contains(byte)
}
