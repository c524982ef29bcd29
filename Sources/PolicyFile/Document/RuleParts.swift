import Addressing
import Policy

/// The parts of a rule whose meaning depends on its protocol.
struct RuleParts {
  let traffic: TrafficProtocol
  private(set) var ports: [PortRange] = []
  private(set) var requests: [RequestPattern] = []
  private(set) var recordTypes: [String] = []
  private(set) var limits = Limits.none
  private let scope: Scope

  init(_ fields: Fields, traffic: TrafficProtocol, scope: Scope) {
    self.traffic = traffic
    self.scope = scope
    ports = readPorts(fields)
    requests = readRequests(fields)
    recordTypes = readTypes(fields)
    limits = readLimits(fields)
  }

  private func readPorts(_ fields: Fields) -> [PortRange] {
    guard let node = fields["ports"] else { return defaultPorts(fields) }
    if traffic == .dns {
      scope.error(fields.mark(of: "ports"), "'ports' has no meaning under protocol dns", "Remove it")
      return []
    }
    return (scope.items(node, "'ports'", example: "[443]") ?? []).compactMap(portRange)
  }

  private func defaultPorts(_ fields: Fields) -> [PortRange] {
    switch traffic {
    case .https: return [PortRange(.https)]
    case .http: return [PortRange(.http)]
    case .dns: return [PortRange(.domain)]
    case .tcp, .udp:
      scope.error(
        fields.mark(of: "protocol"), "protocol \(traffic.rawValue) has no default port",
        "Add 'ports: [\(traffic == .tcp ? 5432 : 123)]' with the port that is meant")
      return []
    }
  }

  private func portRange(_ node: Node) -> PortRange? {
    let example = "a number from 1 to 65535, or a range such as \"8081-8083\""
    switch node.scalar {
    case .integer(let number?):
      if let small = UInt16(exactly: number), let port = Port(small) {
        return scope.plainDecimal(port, node, "a port").map { PortRange($0) }
      }
    case .text(let text):
      let ends: [Port?] = text.split(separator: "-", omittingEmptySubsequences: false).map { Port($0.utf8) }
      if ends.count == 2, let lower = ends[0], let upper = ends[1], lower <= upper {
        return PortRange(lower, upper)
      }
      if ends.count == 1, let port = ends[0] {
        scope.wrongType(node, "a port", "\(port) without quotes")
        return nil
      }
    default: break
    }
    scope.wrongType(node, "a port", example)
    return nil
  }

  private func readLimits(_ fields: Fields) -> Limits {
    guard let node = fields["limits"],
      let limits = Fields(
        node, in: scope, of: "'limits'",
        keys: ["connections", "bytes-out", "bytes-in", "duration", "dns-labels"],
        example: "limits such as { connections: 32, bytes-out: 50MiB }")
    else { return .none }
    return Limits(
      connections: limit("connections", in: limits) { scope.integer($0, $1, in: 1...1_000_000) },
      bytesOut: limit("bytes-out", in: limits, read: scope.size),
      bytesIn: limit("bytes-in", in: limits, read: scope.size),
      duration: longest(limits), dnsLabels: labelBudget(limits))
  }

  /// The value of one limit; `none` is no limit.
  private func limit<Value>(_ key: String, in limits: Fields, read: (Node, String) -> Value?) -> Value? {
    guard let node = limits[key], node.scalar != .text("none") else { return nil }
    return read(node, "'\(key)'")
  }

  /// `none` takes away what the gate holds every connection to.
  private func longest(_ limits: Fields) -> Duration? {
    if limits["duration"]?.scalar == .text("none") { return Limits.longestDuration }
    return limit("duration", in: limits) { scope.duration($0, $1) }
  }

  private func labelBudget(_ limits: Fields) -> LabelBudget? {
    if limits["dns-labels"]?.scalar == .text("none") { return .unlimited }
    return limit("dns-labels", in: limits, read: scope.size).map(LabelBudget.bytes)
  }
}

// MARK: - Requests and record types

extension RuleParts {
  private func readRequests(_ fields: Fields) -> [RequestPattern] {
    guard let node = fields["http"] else { return [] }
    let items =
      scope.items(node, "'http'", example: "[{ methods: [GET, HEAD], path: \"/repository/**\" }]") ?? []
    if traffic != .http {
      scope.error(
        fields.mark(of: "http"),
        traffic == .https
          ? "methods and paths are out of sight inside https"
          : "'http' has no meaning under protocol \(traffic.rawValue)",
        "Remove 'http', or write 'protocol: http' if the server speaks it in the clear")
    }
    return items.compactMap(request)
  }

  private func request(_ node: Node) -> RequestPattern? {
    guard
      let fields = Fields(
        node, in: scope, of: "an entry of 'http'", keys: ["methods", "path"],
        example: "an entry such as { methods: [GET, HEAD], path: \"/repository/**\" }")
    else { return nil }
    guard fields.has("methods") || fields.has("path") else {
      scope.error(
        node.mark, "an entry of 'http' is empty", "Add 'methods: [GET]', 'path: \"/repository/**\"' or both")
      return nil
    }
    let methods = fields["methods"].flatMap { scope.items($0, "'methods'", example: "[GET, HEAD]") } ?? []
    return RequestPattern(methods: methods.compactMap(method), path: fields["path"].flatMap(path))
  }

  private func method(_ node: Node) -> String? {
    guard let text = scope.text(node, "a method", example: "a method such as GET") else { return nil }
    if isMethod(text.utf8) { return text }
    let upper = text.uppercased()
    scope.error(
      node.mark, "\(quoted(text)) is no HTTP method",
      isMethod(upper.utf8)
        ? "Write \(upper); methods are compared letter by letter" : "Write a method such as GET")
    return nil
  }

  private func path(_ node: Node) -> PathPattern? {
    guard let text = scope.text(node, "'path'", example: "a path such as \"/repository/**\"") else {
      return nil
    }
    if let pattern = PathPattern(text) { return pattern }
    scope.error(
      node.mark, "no canonical path can match \(quoted(text))",
      "Begin with '/', and leave out '..', '//', '?', ';', '\\', %2e, %2f and %5c")
    return nil
  }

  private func readTypes(_ fields: Fields) -> [String] {
    guard let node = fields["types"] else {
      if traffic == .dns {
        scope.error(
          fields.mark(of: "protocol"), "protocol dns without 'types' opens nothing",
          "Add 'types: [TXT]' with the record types that are meant")
      }
      return []
    }
    if traffic != .dns {
      scope.error(
        fields.mark(of: "types"), "'types' belongs to protocol dns", "Remove it, or write 'protocol: dns'")
    }
    return (scope.items(node, "'types'", example: "[TXT, MX]") ?? []).compactMap(recordType)
  }

  private func recordType(_ node: Node) -> String? {
    guard let text = scope.text(node, "a record type", example: "a type such as TXT") else { return nil }
    if RecordTypes.open.contains(text) { return text }
    let upper = text.uppercased()
    if let refusal = RecordTypes.refusal(of: upper) {
      scope.error(node.mark, refusal, "Remove it")
    } else {
      let remedy = RecordTypes.open.contains(upper) ? upper : suggestion(for: upper, from: RecordTypes.open)
      scope.error(node.mark, "\(quoted(text)) is no record type that a rule can open", "Write \(remedy)")
    }
    return nil
  }
}

/// A method that a client may send: a token of upper-case letters, digits, `-` and `_`, at most 32 bytes.
///
/// - Source: RFC 9110 §9.1 and the IANA method registry, which has no lower case.
private func isMethod(_ text: Substring.UTF8View) -> Bool {
  let isUpper = { (byte: UInt8) in (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte) }
  let isOther = { (byte: UInt8) in
    (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) || byte == UInt8(ascii: "-")
      || byte == UInt8(ascii: "_")
  }
  guard let first = text.first, text.count <= 32 else { return false }
  return isUpper(first) && text.allSatisfy { isUpper($0) || isOther($0) }
}

private func isMethod(_ text: String.UTF8View) -> Bool { isMethod(text[...]) }

extension RecordTypes {
  /// Why a well-known type is not among those that a rule can open.
  fileprivate static func refusal(of type: String) -> String? {
    switch type {
    case "A", "AAAA", "CNAME": "\(type) needs no 'types': any rule that could match the name opens it"
    case "HTTPS", "SVCB": "\(type) records carry addresses past every filter, so they are never answered"
    case "ANY", "AXFR", "IXFR", "NULL": "\(type) is always refused"
    default: nil
    }
  }
}
