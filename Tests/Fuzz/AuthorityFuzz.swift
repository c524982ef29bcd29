import Addressing

/// Names, addresses, ports, blocks and authorities: what is taken has one
/// spelling, and that reads as the same value.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzAuthority(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  let bytes = Array(UnsafeBufferPointer(start: start, count: count))
  if let authority = try? Authority(bytes[...], defaultPort: .https) {
    precondition((try? Authority(authority.description.utf8)) == authority)
  }
  if let name = try? Hostname(bytes[...]) {
    precondition((try? Hostname(name.text)) == name && IPAddress(name.text) == nil)
    precondition(name.labels.count == name.labelCount && name.text.utf8.count <= Hostname.maximumLength)
    if let parent = name.parent { precondition(name.isBelow(parent) && !parent.isBelow(name)) }
  }
  if let address = IPAddress(bytes[...]) {
    precondition(
      IPAddress(address.description) == address && IPAddress(networkOrder: address.bytes) == address)
    _ = address.addressClass
  }
  _ = IPAddress(networkOrder: bytes)?.addressClass
  if let prefix = IPPrefix(String(decoding: bytes, as: UTF8.self)) {
    precondition(prefix.contains(prefix.address))
  }
  _ = Punycode.decode(bytes[...])
  return 0
}
