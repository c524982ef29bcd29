import Addressing
import Policy

/// Why a text is no host pattern, and what to write.
struct HostPatternError: Error, Hashable {
  var cause: String
  var remedy: String
}

/// Reads `d`, `*.d`, `**.d`, `*`, an address or a CIDR block.
///
/// Whether a wildcard is too wide is not asked here.
func parseHostPattern(_ text: String) throws(HostPatternError) -> HostPattern {
  if let block = try parsePrefix(text) { return .prefix(block) }
  if text == "*" { return .anyName }
  if text.utf8.starts(with: "**.".utf8) { return .domain(try parseName(text.dropFirst(3), in: text)) }
  if text.utf8.starts(with: "*.".utf8) { return .subdomains(of: try parseName(text.dropFirst(2), in: text)) }
  return .exact(try parseName(text[...], in: text))
}

/// An address or a block, nil when the text can only be a name.
private func parsePrefix(_ text: String) throws(HostPatternError) -> IPPrefix? {
  if let prefix = IPPrefix(text) { return prefix }
  let parts = text.utf8.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
  guard parts.count == 2, let address = IPAddress(parts[0]) else { return nil }
  guard let length = prefixLength(parts[1]), length <= (address.isV4 ? 32 : 128) else {
    throw HostPatternError(
      cause: "\(quoted(text)) has no valid prefix length",
      remedy: "Write a length from 0 to \(address.isV4 ? 32 : 128) behind the slash")
  }
  throw HostPatternError(
    cause: "\(quoted(text)) has address bits behind its prefix length",
    remedy: "Write \(firstAddress(of: address, length: length))/\(length), or \(address) for the one address")
}

/// A number of at most three decimal digits, without a leading zero.
private func prefixLength(_ digits: Substring.UTF8View) -> Int? {
  guard (1...3).contains(digits.count), digits.allSatisfy({ (0x30...0x39).contains($0) }),
    digits.first != UInt8(ascii: "0") || digits.count == 1
  else { return nil }
  return Int(Substring(digits))
}

/// The address with all bits behind the first `length` cleared.
private func firstAddress(of address: IPAddress, length: Int) -> IPAddress {
  let bytes = address.bytes.enumerated().map { index, byte in
    byte & UInt8(truncatingIfNeeded: 0xff00 >> min(8, max(0, length - index * 8)))
  }
  return IPAddress(networkOrder: bytes) ?? address
}

private func parseName(_ name: Substring, in pattern: String) throws(HostPatternError) -> Hostname {
  try refuseWhatIsNoName(name, in: pattern)
  let isUnicode = name.utf8.contains { $0 >= 0x80 }
  do {
    return try Hostname(isUnicode ? try asciiName(String(name)) : String(name))
  } catch let error as HostnameError {
    throw HostPatternError(
      cause: "\(quoted(pattern)) is not a host name: \(reason(error))", remedy: remedy(error))
  } catch let error as InternationalNameError {
    throw HostPatternError(
      cause: "\(quoted(pattern)) has no form in ASCII: \(error.cause)",
      remedy: "Write the name as its registry shows it, or its A-label (xn--…)")
  } catch {
    throw HostPatternError(
      cause: "\(quoted(pattern)) is not a host name", remedy: "Write a name such as api.example.com")
  }
}

/// What people write where a host belongs, each with its own way out.
private func refuseWhatIsNoName(_ name: Substring, in pattern: String) throws(HostPatternError) {
  if let slashes = name.firstRange(of: "://") {
    let scheme = String(name[..<slashes.lowerBound])
    throw HostPatternError(
      cause: "\(quoted(pattern)) is a URL",
      remedy: "Write the host alone, and its scheme as 'protocol: \(scheme == "http" ? "http" : "https")'")
  }
  if name.utf8.contains(UInt8(ascii: "*")) {
    throw HostPatternError(
      cause: "\(quoted(pattern)) has a '*' that is not a whole first label",
      remedy: "Write '*.example.com' for the names below, or '**.example.com' for the domain too")
  }
  if let dotted = canonicalSpelling(ofOddAddress: name) {
    throw HostPatternError(
      cause: "\(quoted(pattern)) is an odd spelling of an IPv4 address",
      remedy: "Write \"\(dotted)\" if that is meant")
  }
  try refusePortAndPath(name, in: pattern)
}

private func refusePortAndPath(_ name: Substring, in pattern: String) throws(HostPatternError) {
  if name.utf8.first == UInt8(ascii: "[") {
    throw HostPatternError(
      cause: "\(quoted(pattern)) has brackets",
      remedy: "Write the IPv6 address alone, and ports under 'ports'")
  }
  if name.utf8.contains(UInt8(ascii: "/")) {
    throw HostPatternError(
      cause: "\(quoted(pattern)) has a path or a prefix length behind a name",
      remedy: "Write the host alone; paths of plain http go under 'http'")
  }
  try refusePort(name, in: pattern)
  if name.utf8.contains(UInt8(ascii: "@")) {
    throw HostPatternError(cause: "\(quoted(pattern)) has a user name", remedy: "Write the host alone")
  }
}

private func refusePort(_ name: Substring, in pattern: String) throws(HostPatternError) {
  let parts = name.split(separator: ":", omittingEmptySubsequences: false)
  if parts.count > 2 {
    throw HostPatternError(
      cause: "\(quoted(pattern)) is no IPv6 address",
      remedy: "Write it as RFC 5952 does, such as 2001:db8::1, without a zone; ports go under 'ports'")
  }
  if parts.count == 2 {
    let port = Port(parts[1].utf8).map { "\($0)" } ?? "443"
    throw HostPatternError(
      cause: "\(quoted(pattern)) has a port", remedy: "Write the host alone, and 'ports: [\(port)]' beside it"
    )
  }
}

private func reason(_ error: HostnameError) -> String {
  switch error {
  case .emptyLabel: "a label is empty"
  case .tooLong(let length): "it has \(length) bytes, and 253 is the most"
  case .labelTooLong(let length): "a label has \(length) bytes, and 63 is the most"
  case .forbiddenByte(let byte): "it holds \(quoted(String(Unicode.Scalar(byte))))"
  case .hyphenAtEdge: "a label begins or ends with a hyphen"
  case .numericLastLabel: "its last label is a number"
  case .invalidPunycode: "an 'xn--' label does not decode"
  }
}

private func remedy(_ error: HostnameError) -> String {
  switch error {
  case .numericLastLabel: "Write an address as four decimal numbers, such as 192.0.2.1"
  case .invalidPunycode: "Write the name in Unicode, and it is converted when the file is read"
  default: "Write letters, digits, '-', '_' and single dots, such as api.example.com"
  }
}
