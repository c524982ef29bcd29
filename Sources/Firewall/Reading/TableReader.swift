import CNetfilter

/// The counter of a rule.
public struct RuleCounter: Hashable, Sendable {
  public var chain: String
  /// What names the rule; "denied" in both tables for what was refused.
  public var comment: String?
  public var packets: UInt64
  public var bytes: UInt64
}

/// A table that is there.
public struct ListedTable: Hashable, Sendable {
  public var name: TableName
  /// Whether a running process owns it.
  public var isOwned: Bool
  /// Whether it stays when its owner ends.
  public var isPersistent: Bool
}

/// An element that is there.
public struct StoredElement: Hashable, Sendable {
  public var key: [Datum]
  public var data: Datum?
  /// What it was added with; nil for one that stays.
  public var timeout: Duration?
  /// What is left of it.
  public var expiration: Duration?
}

extension NetfilterSocket {
  /// The counters of a table's rules, or of one chain's, in the order of the rules.
  ///
  /// - Throws: `absent` or an empty list, by kernel, when there is no such table.
  public func counters(in table: TableName, chain: String? = nil) throws(NetfilterError) -> [RuleCounter] {
    try netlink.dump(
      subsystem: NFNL_SUBSYS_NFTABLES, message: NFT_MSG_GETRULE.rawValue, family: UInt8(table.family.number),
      "read the counters of \(table)",
      filter: {
        $0.put(Int(NFTA_RULE_TABLE.rawValue), table.name)
        if let chain { $0.put(Int(NFTA_RULE_CHAIN.rawValue), chain) }
      }
    ) { message in
      guard message.attributes.text(Int(NFTA_RULE_TABLE.rawValue)) == table.name,
        chain == nil || message.attributes.text(Int(NFTA_RULE_CHAIN.rawValue)) == chain
      else { return [] }
      return RuleCounter(message.attributes).map { [$0] } ?? []
    }
  }

  /// What a table's counters with names have counted, in packets. It reads
  /// these alone, however many rules there are.
  public func counts(in table: TableName) throws(NetfilterError) -> [String: UInt64] {
    let counts = try netlink.dump(
      subsystem: NFNL_SUBSYS_NFTABLES, message: NFT_MSG_GETOBJ.rawValue, family: UInt8(table.family.number),
      "read the counters of \(table)",
      filter: {
        $0.put(Int(NFTA_OBJ_TABLE.rawValue), table.name)
        $0.put(Int(NFTA_OBJ_TYPE.rawValue), counterType)
      }
    ) { message -> [(String, UInt64)] in
      let object = message.attributes, data = object.nested(Int(NFTA_OBJ_DATA.rawValue))
      guard object.text(Int(NFTA_OBJ_TABLE.rawValue)) == table.name,
        let name = object.text(Int(NFTA_OBJ_NAME.rawValue)),
        let packets: UInt64 = data.number(Int(NFTA_COUNTER_PACKETS.rawValue))
      else { return [] }
      return [(name, packets)]
    }
    return Dictionary(counts, uniquingKeysWith: { first, _ in first })
  }

  /// The tables whose name begins with `prefix`, of both families.
  public func tables(prefix: String) throws(NetfilterError) -> [ListedTable] {
    try netlink.dump(
      subsystem: NFNL_SUBSYS_NFTABLES, message: NFT_MSG_GETTABLE.rawValue, family: 0, "list tables"
    ) { message in
      guard let family = Family(number: UInt32(message.family)),
        let name = message.attributes.text(Int(NFTA_TABLE_NAME.rawValue)), name.hasPrefix(prefix)
      else { return [] }
      let flags: UInt32 = message.attributes.number(Int(NFTA_TABLE_FLAGS.rawValue)) ?? 0
      return [
        ListedTable(name: TableName(family, name), isOwned: flags & 2 != 0, isPersistent: flags & 4 != 0)
      ]
    }
  }

  /// The elements of a set that is no interval set.
  ///
  /// - Throws: `absent` when there is no such set.
  public func elements(of set: NFSet, in table: TableName) throws(NetfilterError) -> [StoredElement] {
    try netlink.dump(
      subsystem: NFNL_SUBSYS_NFTABLES, message: NFT_MSG_GETSETELEM.rawValue,
      family: UInt8(table.family.number),
      "list the elements of \(table) \(set.name)",
      filter: {
        $0.put(Int(NFTA_SET_ELEM_LIST_TABLE.rawValue), table.name)
        $0.put(Int(NFTA_SET_ELEM_LIST_SET.rawValue), set.name)
      }
    ) { message in
      message.attributes.nested(Int(NFTA_SET_ELEM_LIST_ELEMENTS.rawValue)).compactMap { element in
        StoredElement(Attributes(element.value), of: set)
      }
    }
  }
}

extension RuleCounter {
  /// - Returns: nil for a rule without a counter.
  init?(_ rule: Attributes) {
    for item in rule.nested(Int(NFTA_RULE_EXPRESSIONS.rawValue)) {
      let expression = Attributes(item.value)
      guard expression.text(Int(NFTA_EXPR_NAME.rawValue)) == "counter" else { continue }
      let counter = expression.nested(Int(NFTA_EXPR_DATA.rawValue))
      chain = rule.text(Int(NFTA_RULE_CHAIN.rawValue)) ?? ""
      packets = counter.number(Int(NFTA_COUNTER_PACKETS.rawValue)) ?? 0
      bytes = counter.number(Int(NFTA_COUNTER_BYTES.rawValue)) ?? 0
      comment = rule[Int(NFTA_RULE_USERDATA.rawValue)].flatMap(Self.comment)
      return
    }
    return nil
  }

  /// The first note of type 0, without its zero byte.
  private static func comment(_ notes: ArraySlice<UInt8>) -> String? {
    var rest = notes
    while rest.count >= 2 {
      let type = rest[rest.startIndex], length = Int(rest[rest.startIndex + 1])
      let value = rest.dropFirst(2).prefix(length)
      if type == 0 { return String(decoding: value.prefix { $0 != 0 }, as: UTF8.self) }
      rest = rest.dropFirst(2 + length)
    }
    return nil
  }
}

extension StoredElement {
  /// - Returns: nil when the key does not have the set's length.
  init?(_ element: Attributes, of set: NFSet) {
    guard let key = element.nested(Int(NFTA_SET_ELEM_KEY.rawValue))[Int(NFTA_DATA_VALUE.rawValue)],
      let parts = set.decode(key: key)
    else { return nil }
    self.key = parts
    data = element.nested(Int(NFTA_SET_ELEM_DATA.rawValue))[Int(NFTA_DATA_VALUE.rawValue)]
      .flatMap { set.data?.decode($0) }
    timeout = element.number(Int(NFTA_SET_ELEM_TIMEOUT.rawValue)).map { Duration.milliseconds($0 as UInt64) }
    expiration = element.number(Int(NFTA_SET_ELEM_EXPIRATION.rawValue)).map {
      Duration.milliseconds($0 as UInt64)
    }
  }
}

extension NFSet {
  /// The parts of a key as the kernel stores it; nil when they do not fit.
  func decode(key bytes: ArraySlice<UInt8>) -> [Datum]? {
    guard bytes.count >= keyLength else { return nil }
    var rest = bytes
    var parts: [Datum] = []
    for type in key {
      guard let part = type.decode(rest.prefix(type.length)) else { return nil }
      parts.append(part)
      rest = rest.dropFirst((type.length + 3) & ~3)
    }
    return parts
  }
}
