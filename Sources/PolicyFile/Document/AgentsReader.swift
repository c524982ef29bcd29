import Addressing
import Policy

/// Reads `agents`.
struct AgentsReader {
  /// How many agents one gate serves at most; each is compared with each.
  static let limit = 1024

  let scope: Scope
  let enforcement: Enforcement

  func read(_ node: Node?) -> [Agent] {
    guard let node else { return [] }
    guard case .mapping(let entries) = node.content else {
      scope.wrongType(node, "'agents'", "a mapping such as { ci: { listen: 127.0.0.1:3129 } }")
      return []
    }
    guard entries.count <= Self.limit else {
      scope.error(
        node.mark, "'agents' has more than \(Self.limit) entries", "Run a second gate for the others")
      return []
    }
    var agents: [Agent] = []
    for entry in entries {
      guard let agent = agent(entry) else { continue }
      checkItself(agent, entry)
      for other in agents { checkApart(agent, other, entry) }
      agents.append(agent)
    }
    return agents
  }

  private func agent(_ entry: Entry) -> Agent? {
    guard let name = scope.agentName(entry.key, at: entry.mark) else { return nil }
    guard name != .default else {
      scope.error(
        entry.mark, "'default' stands for every client that is no other agent's, and cannot be declared",
        "Choose another name")
      return nil
    }
    guard
      let fields = Fields(
        entry.value, in: scope, of: "an agent", keys: ["listen", "dns", "token_sha256", "by"],
        example: "an agent such as { listen: 127.0.0.1:3129 }")
    else { return nil }
    if let by = fields["by"], scope.choice(by, "'by'", from: By.allCases) != nil {
      enforcement.checkInterface(fields, name, isAlone: !fields.has("listen") && !fields.has("token_sha256"))
    }
    guard fields.has("listen") || fields.has("token_sha256") || fields.has("by") else {
      // A listener for names tells questions apart, not the connections that follow.
      let what =
        fields.has("dns")
        ? "the connections of the agent '\(name)' from others'" : "the agent '\(name)' from another"
      scope.error(
        entry.value.mark, "nothing tells \(what)",
        "Add 'listen: 127.0.0.1:3129' or 'token_sha256: \"…\"'")
      return nil
    }
    return Agent(
      name: name, listen: fields["listen"].flatMap(listen), dns: fields["dns"].flatMap(dns),
      tokenSHA256: fields["token_sha256"].flatMap(token))
  }

  /// How else an agent is told from the others.
  private enum By: String, CaseIterable {
    /// By the interface it is behind, which `exitgate gateway` is given with its name.
    case interface
  }

  private func listen(_ node: Node) -> ListenAddress? {
    let example = "an address such as 127.0.0.1:3129, [::1]:3129 or unix:/run/exitgate/ci.sock"
    guard let text = scope.text(node, "'listen'", example: example) else { return nil }
    if let address = ListenAddress(text) { return address }
    scope.error(node.mark, "\(quoted(text)) is no address to listen on", "Write \(example)")
    return nil
  }

  private func dns(_ node: Node) -> Endpoint? {
    let example = "an address such as 127.0.0.1:5301 or [::1]:5301"
    guard let text = scope.text(node, "'dns'", example: example) else { return nil }
    if let endpoint = Endpoint(text) { return endpoint }
    scope.error(node.mark, "\(quoted(text)) is no address to listen on for DNS", "Write \(example)")
    return nil
  }

  private func token(_ node: Node) -> [UInt8]? {
    if case .scalar(let text, _) = node.content, let digest = parseDigest(text) {
      if case .text = node.scalar { return digest }
      scope.wrongType(node, "'token_sha256'", "the digits in quotes")
      return nil
    }
    scope.error(
      node.mark, "'token_sha256' is no SHA-256 in hexadecimal",
      "Write the 64 digits that `printf %s TOKEN | sha256sum` prints, in quotes")
    return nil
  }

  /// DNS is served over TCP too, so both listeners of an agent need their own port.
  private func checkItself(_ agent: Agent, _ entry: Entry) {
    guard let listen = agent.listen, let dns = agent.dns, overlap(listen, .tcp(dns)) else { return }
    scope.error(
      entry.mark, "'\(agent.name)' has 'listen' and 'dns' on the same address \(dns)",
      "Give 'dns' another port")
  }

  /// Two agents must not share what tells them apart.
  private func checkApart(_ agent: Agent, _ other: Agent, _ entry: Entry) {
    for listen in agent.listeners {
      guard let taken = other.listeners.first(where: { overlap(listen, $0) }) else { continue }
      scope.error(
        entry.mark, "'\(agent.name)' listens on \(listen), which is taken by '\(other.name)' (\(taken))",
        "Give each agent a listener of its own")
    }
    if let token = agent.tokenSHA256, token == other.tokenSHA256 {
      scope.error(
        entry.mark, "'\(agent.name)' has the same token as '\(other.name)'",
        "Give each agent a token of its own")
    }
  }
}

extension Agent {
  /// Its own listeners of both kinds, as what they take of TCP.
  fileprivate var listeners: [ListenAddress] { [listen, dns.map { .tcp($0) }].compactMap(\.self) }
}

/// Whether two listeners would take the same connections.
private func overlap(_ left: ListenAddress, _ right: ListenAddress) -> Bool {
  guard case .tcp(let a) = left, case .tcp(let b) = right else { return left == right }
  guard a.port == b.port else { return false }
  let isWide = a.address.isUnspecified || b.address.isUnspecified
  return a.address == b.address || isWide && a.address.isV4 == b.address.isV4
}

extension IPAddress {
  /// 0.0.0.0 or ::.
  fileprivate var isUnspecified: Bool { bytes.allSatisfy { $0 == 0 } }
}

private func parseDigest(_ text: String) -> [UInt8]? {
  let digits = Array(text.utf8)
  guard digits.count == 64 else { return nil }
  var bytes: [UInt8] = []
  for index in stride(from: 0, to: 64, by: 2) {
    guard let high = hexDigit(digits[index]), let low = hexDigit(digits[index + 1]) else { return nil }
    bytes.append(high << 4 | low)
  }
  return bytes
}

private func hexDigit(_ byte: UInt8) -> UInt8? {
  switch byte {
  case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
  case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
  case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
  default: nil
  }
}
