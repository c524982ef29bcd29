import Addressing
import Policy

extension RuleReader {
  /// The patterns of `to`; those that are wrong, or too wide, are reported.
  func hosts(_ fields: Fields, action: Action?) -> [(HostPattern, Mark)] {
    guard let node = fields.required("to", of: "the rule", example: "to: [api.example.com]") else {
      return []
    }
    let isWideMeant = fields.flag("allow-public-suffix")
    let items = scope.items(node, "'to'", example: "[api.example.com]") ?? []
    return items.compactMap { item in
      guard let pattern = pattern(item) else { return nil }
      checkWidth(pattern, item.mark, isMeant: isWideMeant)
      if action != .deny { checkReachable(pattern, item.mark) }
      return (pattern, item.mark)
    }
  }

  private func pattern(_ item: Node) -> HostPattern? {
    if case .scalar(let text, isPlain: true) = item.content, item.scalar != .text(text), item.scalar != .null,
      let address = canonicalSpelling(ofOddAddress: text[...])
    {
      scope.error(
        item.mark, "\(quoted(text)) is an odd spelling of an IPv4 address",
        "Write \"\(address)\" if that is meant")
      return nil
    }
    guard let text = scope.text(item, "a host", example: "a name, a wildcard in quotes, or an address") else {
      return nil
    }
    do { return try parseHostPattern(text) } catch {
      scope.error(item.mark, error.cause, error.remedy)
      return nil
    }
  }

  /// DESIGN row 2: what anybody may register under is not opened by accident.
  private func checkWidth(_ pattern: HostPattern, _ mark: Mark, isMeant: Bool) {
    guard let cause = excessiveWidth(of: pattern) else { return }
    if isMeant {
      scope.warn(mark, cause, "Name hosts, unless that is meant")
    } else {
      scope.error(mark, cause, "Name hosts, or add 'allow-public-suffix: true' to the rule if that is meant")
    }
  }

  private func excessiveWidth(of pattern: HostPattern) -> String? {
    switch pattern {
    case .anyName: return "'*' matches every name"
    case .subdomains(let parent), .domain(let parent):
      guard PublicSuffixes.system.isAvailable else {
        return "there is no list of public suffixes on this machine to judge '\(pattern)' by"
      }
      if parent.labelCount == 1 { return "'\(pattern)' matches a whole top-level domain" }
      guard PublicSuffixes.system.isShared(parent) else { return nil }
      return "'\(pattern)' matches names of many parties, for '\(parent)' is a public suffix"
    case .exact, .prefix: return nil
    }
  }

  /// DESIGN row 5: blocks that no rule opens.
  private func checkReachable(_ pattern: HostPattern, _ mark: Mark) {
    guard case .prefix(let block) = pattern, let kind = commonClass(of: block) else { return }
    switch kind {
    case .metadata:
      scope.error(
        mark, "\(block) is a cloud metadata or link-local address, which no rule opens",
        "Remove it, and give the agent its credentials another way")
    case .unspecified, .multicast, .broadcast:
      scope.error(mark, "\(block) is \(kind.rawValue), which no rule opens", "Remove it")
    case .loopback, .privateUse, .reserved, .global: break
    }
  }
}

/// The class that the first and the last address of a block share.
func commonClass(of block: IPPrefix) -> AddressClass? {
  let kind = block.address.addressClass
  return lastAddress(of: block).addressClass == kind ? kind : nil
}

private func lastAddress(of block: IPPrefix) -> IPAddress {
  let bytes = block.address.bytes.enumerated().map { index, byte in
    byte | UInt8(truncatingIfNeeded: 0xff >> min(8, max(0, block.length - index * 8)))
  }
  return IPAddress(networkOrder: bytes) ?? block.address
}
