import CNetfilter
import Glibc

extension Batch {
  mutating func addTable(_ name: TableName, flags: UInt32) {
    table(NFT_MSG_NEWTABLE, name, flags: flags, "add table \(name)", netlink: NLM_F_CREATE)
  }

  mutating func deleteTable(_ name: TableName) {
    table(NFT_MSG_DELTABLE, name, flags: nil, "delete table \(name)")
  }

  private mutating func table(
    _ type: nf_tables_msg_types, _ name: TableName, flags: UInt32?, _ operation: String, netlink: Int32 = 0
  ) {
    let object = nftnl_table_alloc()
    defer { nftnl_table_free(object) }
    nftnl_table_set_str(object, attribute(NFTNL_TABLE_NAME), name.name)
    if let flags { nftnl_table_set_u32(object, attribute(NFTNL_TABLE_FLAGS), flags) }
    add(type, name.family, flags: netlink, operation) { nftnl_table_nlmsg_build_payload($0, object) }
  }

  /// Adds a counter that has a name; one that is there goes on counting.
  mutating func addCounter(_ name: String, to table: TableName) {
    let object = nftnl_obj_alloc()
    defer { nftnl_obj_free(object) }
    nftnl_obj_set_str(object, attribute(NFTNL_OBJ_TABLE), table.name)
    nftnl_obj_set_str(object, attribute(NFTNL_OBJ_NAME), name)
    nftnl_obj_set_u32(object, attribute(NFTNL_OBJ_TYPE), counterType)
    nftnl_obj_set_u32(object, attribute(NFTNL_OBJ_FAMILY), UInt32(table.family.number))
    add(NFT_MSG_NEWOBJ, table.family, flags: NLM_F_CREATE, "add counter \(table) \(name)") {
      nftnl_obj_nlmsg_build_payload($0, object)
    }
  }

  mutating func addChain(_ chain: Chain, to table: TableName) {
    let object = chainObject(chain.name, of: table)
    defer { nftnl_chain_free(object) }
    if let base = chain.base {
      nftnl_chain_set_str(object, attribute(NFTNL_CHAIN_TYPE), base.type.rawValue)
      nftnl_chain_set_u32(object, attribute(NFTNL_CHAIN_HOOKNUM), base.hook.number)
      nftnl_chain_set_s32(object, attribute(NFTNL_CHAIN_PRIO), base.priority)
      nftnl_chain_set_u32(object, attribute(NFTNL_CHAIN_POLICY), base.policy.number)
      if let device = base.device { nftnl_chain_set_str(object, attribute(NFTNL_CHAIN_DEV), device) }
    }
    add(NFT_MSG_NEWCHAIN, table.family, flags: NLM_F_CREATE, "add chain \(table) \(chain.name)") {
      nftnl_chain_nlmsg_build_payload($0, object)
    }
  }

  mutating func deleteChain(_ chain: String, of table: TableName) {
    let object = chainObject(chain, of: table)
    defer { nftnl_chain_free(object) }
    add(NFT_MSG_DELCHAIN, table.family, "delete chain \(table) \(chain)") {
      nftnl_chain_nlmsg_build_payload($0, object)
    }
  }

  private func chainObject(_ chain: String, of table: TableName) -> OpaquePointer? {
    let object = nftnl_chain_alloc()
    nftnl_chain_set_str(object, attribute(NFTNL_CHAIN_TABLE), table.name)
    nftnl_chain_set_str(object, attribute(NFTNL_CHAIN_NAME), chain)
    return object
  }

  /// Empties a chain.
  mutating func flushChain(_ chain: String, of table: TableName) {
    let object = ruleObject(chain, of: table)
    defer { nftnl_rule_free(object) }
    add(NFT_MSG_DELRULE, table.family, "flush chain \(table) \(chain)") {
      nftnl_rule_nlmsg_build_payload($0, object)
    }
  }

  private func ruleObject(_ chain: String, of table: TableName) -> OpaquePointer? {
    let object = nftnl_rule_alloc()
    nftnl_rule_set_u32(object, attribute(NFTNL_RULE_FAMILY), UInt32(table.family.number))
    nftnl_rule_set_str(object, attribute(NFTNL_RULE_TABLE), table.name)
    nftnl_rule_set_str(object, attribute(NFTNL_RULE_CHAIN), chain)
    return object
  }

  /// Appends a rule, after the anonymous sets that it looks into.
  mutating func addRule(_ rule: Rule, to chain: String, of table: TableName) throws(NetfilterError) {
    var ids = 0
    let firstID = nextSetID()
    let assembly = try RuleAssembly(rule) {
      ids += 1
      return firstID + UInt32(ids - 1)
    }
    for _ in 1..<max(ids, 1) { _ = nextSetID() }
    for set in assembly.anonymousSets { addAnonymousSet(set.id, set.type, set.elements, to: table) }
    guard let object = ruleObject(chain, of: table) else { return }
    defer { nftnl_rule_free(object) }
    for expression in assembly.expressions { expression.add(to: object) }
    if let comment = rule.comment {
      let data = userData(0, Array(comment.utf8) + [0])
      nftnl_rule_set_data(object, attribute(NFTNL_RULE_USERDATA), data, UInt32(data.count))
    }
    let operation = "add rule \(table) \(chain) \(rule.text)"
    add(NFT_MSG_NEWRULE, table.family, flags: NLM_F_CREATE | NLM_F_APPEND, operation) {
      nftnl_rule_nlmsg_build_payload($0, object)
    }
  }
}

/// The kind of object that a counter with a name is.
///
/// - Source: `NFT_OBJECT_COUNTER` in linux/netfilter/nf_tables.h.
let counterType: UInt32 = 1

/// One entry of what nft(8) stores beside an object: type, length, bytes.
///
/// - Source: libnftnl, udata.c.
func userData(_ type: UInt8, _ value: [UInt8]) -> [UInt8] { [type, UInt8(value.count)] + value }
