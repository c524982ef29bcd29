import Addressing
import CNetfilter
import Glibc

/// An element as the kernel stores it.
struct KernelElement {
  var key: [UInt8]
  var data: [UInt8]?
  var timeout: UInt64?
  var expiration: UInt64?
  /// The first key behind an interval.
  var endsInterval = false
  /// The interval reaches to the highest key, so that no element ends it.
  var isOpen = false
}

extension NFSet {
  /// The bytes of a key: each part padded to 4 bytes where there are several.
  func encode(key parts: [Datum]) -> [UInt8]? {
    guard parts.count == key.count else { return nil }
    var bytes: [UInt8] = []
    for (type, part) in zip(key, parts) {
      guard let encoded = type.encode(part) else { return nil }
      bytes += encoded
      if key.count > 1 { bytes += [UInt8](repeating: 0, count: -encoded.count & 3) }
    }
    return bytes
  }

  var keyLength: Int {
    key.count == 1 ? key[0].length : key.reduce(0) { $0 + (($1.length + 3) & ~3) }
  }

  /// The types of a concatenated key, six bits each.
  var keyType: UInt32 { key.reduce(0) { $0 << 6 | $1.rawValue } }

  /// - Parameter byKey: Whether the key alone names an element, as where it is deleted.
  /// - Throws: `invalidValue` when a part does not fit its type.
  func kernelElements(
    _ elements: [Element], byKey: Bool = false
  ) throws(NetfilterError) -> [KernelElement] {
    if isInterval { return try intervals(elements) }
    var result: [KernelElement] = []
    for element in elements {
      guard let key = encode(key: element.key), data == nil || byKey || element.data != nil
      else {
        throw NetfilterError("write an element of \(name)", .invalidValue)
      }
      let value = element.data.flatMap { data?.encode($0) }
      let expiration = element.remaining ?? element.timeout
      result.append(
        KernelElement(
          key: key, data: value, timeout: element.timeout?.milliseconds, expiration: expiration?.milliseconds)
      )
    }
    return result
  }

  /// Each prefix becomes the key it begins with and the key behind it. The
  /// kernel also wants what lies before the first one marked as an end.
  private func intervals(_ elements: [Element]) throws(NetfilterError) -> [KernelElement] {
    var result: [KernelElement] = []
    for element in elements {
      guard case .prefix(let prefix)? = element.key.first, let start = encode(key: element.key) else {
        throw NetfilterError("write an interval of \(name)", .invalidValue)
      }
      if result.isEmpty, start.contains(where: { $0 != 0 }) {
        result.append(KernelElement(key: start.map { _ in 0 }, endsInterval: true))
      }
      let end = keyBehind(prefix)
      result.append(KernelElement(key: start, isOpen: end == nil))
      if let end { result.append(KernelElement(key: end, endsInterval: true)) }
    }
    return result
  }
}

/// The first address behind a block; nil when there is none.
private func keyBehind(_ prefix: IPPrefix) -> [UInt8]? {
  var bytes = prefix.address.bytes
  guard prefix.length > 0 else { return nil }
  var index = (prefix.length - 1) / 8
  var step = UInt8(1) << UInt8(7 - (prefix.length - 1) % 8)
  while true {
    let (sum, carries) = bytes[index].addingReportingOverflow(step)
    bytes[index] = sum
    if !carries { return bytes }
    if index == 0 { return nil }
    index -= 1
    step = 1
  }
}

extension Batch {
  /// How many elements go into one message, whose lengths have 16 bits.
  private static let elementsPerMessage = 400

  mutating func addSet(_ set: NFSet, to table: TableName) {
    guard let object = setObject(set.name, of: table) else { return }
    defer { nftnl_set_free(object) }
    var flags: UInt32 = 0
    if set.isInterval { flags |= word(NFT_SET_INTERVAL) }
    if set.hasTimeout { flags |= word(NFT_SET_TIMEOUT) }
    if let data = set.data {
      flags |= word(NFT_SET_MAP)
      nftnl_set_set_u32(object, attribute(NFTNL_SET_DATA_TYPE), data.rawValue)
      nftnl_set_set_u32(object, attribute(NFTNL_SET_DATA_LEN), UInt32(data.length))
    }
    describeKey(object, type: set.keyType, length: set.keyLength, flags: flags)
    if let size = set.size { nftnl_set_set_u32(object, attribute(NFTNL_SET_DESC_SIZE), size) }
    let userData = set.userData
    nftnl_set_set_data(object, attribute(NFTNL_SET_USERDATA), userData, UInt32(userData.count))
    nftnl_set_set_u32(object, attribute(NFTNL_SET_ID), nextSetID())
    add(NFT_MSG_NEWSET, table.family, flags: NLM_F_CREATE, "add set \(table) \(set.name)") {
      nftnl_set_nlmsg_build_payload($0, object)
    }
  }

  mutating func deleteSet(_ set: String, of table: TableName) {
    guard let object = setObject(set, of: table) else { return }
    defer { nftnl_set_free(object) }
    add(NFT_MSG_DELSET, table.family, "delete set \(table) \(set)") {
      nftnl_set_nlmsg_build_payload($0, object)
    }
  }

  mutating func flushSet(_ set: String, of table: TableName) {
    guard let object = setObject(set, of: table) else { return }
    defer { nftnl_set_free(object) }
    add(NFT_MSG_DELSETELEM, table.family, "flush set \(table) \(set)") {
      nftnl_set_elems_nlmsg_build_payload($0, object)
    }
  }

  mutating func addElements(
    _ elements: [Element], to set: NFSet, of table: TableName
  ) throws(NetfilterError) {
    for part in try set.kernelElements(elements).chunked(by: Self.elementsPerMessage) {
      send(NFT_MSG_NEWSETELEM, part, set.name, nil, table, "add elements to \(table) \(set.name)")
    }
  }

  mutating func deleteElements(
    _ elements: [Element], of set: NFSet, in table: TableName
  ) throws(NetfilterError) {
    let bare = elements.map { Element($0.key, data: $0.data) }
    for part in try set.kernelElements(bare, byKey: true).chunked(by: Self.elementsPerMessage) {
      send(NFT_MSG_DELSETELEM, part, set.name, nil, table, "delete elements of \(table) \(set.name)")
    }
  }

  /// A set that belongs to one rule and has no name until the kernel gives it one.
  mutating func addAnonymousSet(_ id: UInt32, _ type: DataType, _ keys: [[UInt8]], to table: TableName) {
    guard let object = setObject("__set%d", of: table) else { return }
    defer { nftnl_set_free(object) }
    let flags = word(NFT_SET_ANONYMOUS) | word(NFT_SET_CONSTANT)
    describeKey(object, type: type.rawValue, length: type.length, flags: flags)
    nftnl_set_set_u32(object, attribute(NFTNL_SET_DESC_SIZE), UInt32(keys.count))
    let note = userData(0, hostOrder(type.isHostOrder ? 1 : 2))
    nftnl_set_set_data(object, attribute(NFTNL_SET_USERDATA), note, UInt32(note.count))
    nftnl_set_set_u32(object, attribute(NFTNL_SET_ID), id)
    add(NFT_MSG_NEWSET, table.family, flags: NLM_F_CREATE, "add an anonymous set to \(table)") {
      nftnl_set_nlmsg_build_payload($0, object)
    }
    let elements = keys.map { KernelElement(key: $0) }
    send(NFT_MSG_NEWSETELEM, elements, "__set%d", id, table, "add elements to an anonymous set of \(table)")
  }

  private func describeKey(_ object: OpaquePointer, type: UInt32, length: Int, flags: UInt32) {
    nftnl_set_set_u32(object, attribute(NFTNL_SET_FLAGS), flags)
    nftnl_set_set_u32(object, attribute(NFTNL_SET_KEY_TYPE), type)
    nftnl_set_set_u32(object, attribute(NFTNL_SET_KEY_LEN), UInt32(length))
  }

  private func setObject(_ name: String, of table: TableName) -> OpaquePointer? {
    let object = nftnl_set_alloc()
    nftnl_set_set_str(object, attribute(NFTNL_SET_TABLE), table.name)
    nftnl_set_set_str(object, attribute(NFTNL_SET_NAME), name)
    nftnl_set_set_u32(object, attribute(NFTNL_SET_FAMILY), UInt32(table.family.number))
    return object
  }

  private mutating func send(
    _ type: nf_tables_msg_types, _ elements: [KernelElement], _ set: String, _ id: UInt32?,
    _ table: TableName,
    _ operation: String
  ) {
    guard let object = setObject(set, of: table) else { return }
    defer { nftnl_set_free(object) }
    if let id { nftnl_set_set_u32(object, attribute(NFTNL_SET_ID), id) }
    for element in elements {
      if let made = element.object { nftnl_set_elem_add(object, made) }
    }
    let flags = type == NFT_MSG_NEWSETELEM ? NLM_F_CREATE : 0
    add(type, table.family, flags: flags, operation) { nftnl_set_elems_nlmsg_build_payload($0, object) }
  }
}

extension KernelElement {
  /// A libnftnl element; the set it is added to owns it.
  fileprivate var object: OpaquePointer? {
    let element = nftnl_set_elem_alloc()
    nftnl_set_elem_set(element, attribute(NFTNL_SET_ELEM_KEY), key, UInt32(key.count))
    if let data { nftnl_set_elem_set(element, attribute(NFTNL_SET_ELEM_DATA), data, UInt32(data.count)) }
    if endsInterval {
      nftnl_set_elem_set_u32(element, attribute(NFTNL_SET_ELEM_FLAGS), word(NFT_SET_ELEM_INTERVAL_END))
    }
    if isOpen {
      let note = userData(1, hostOrder(1))
      nftnl_set_elem_set(element, attribute(NFTNL_SET_ELEM_USERDATA), note, UInt32(note.count))
    }
    if let timeout, let expiration {
      // Without an expiration the kernel keeps the time that a present element had left.
      nftnl_set_elem_set_u64(element, attribute(NFTNL_SET_ELEM_TIMEOUT), timeout)
      nftnl_set_elem_set_u64(element, attribute(NFTNL_SET_ELEM_EXPIRATION), expiration)
    }
    return element
  }
}

extension NFSet {
  /// What nft(8) notes beside a set so that it can list it: byte orders (1 is
  /// the host's, 2 the network's, 0 that of each part).
  ///
  /// - Source: `enum nftnl_udata_set_types` in libnftnl/udata.h.
  fileprivate var userData: [UInt8] {
    var notes: [UInt8] = []
    let keyOrder: UInt32 = key.count > 1 ? 0 : key[0].isHostOrder ? 1 : 2
    notes += Firewall.userData(0, hostOrder(keyOrder))
    if let data { notes += Firewall.userData(1, hostOrder(data.isHostOrder ? 1 : 2)) }
    return notes
  }
}
