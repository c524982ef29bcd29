import Wire

/// DNS messages: a query that is taken is rebuilt as the same query; names and
/// records trap nothing.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzDNSMessage(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  let bytes = Array(UnsafeBufferPointer(start: start, count: count))
  if let query = try? DNSQuery.parse(bytes) {
    let again = try? DNSQuery.parse(query.encoded)
    precondition(again?.question == query.question && again?.id == query.id)
  }
  guard let response = try? DNSResponse(bytes), let sections = try? response.sections() else { return 0 }
  for record in sections.answers + sections.authorities + sections.additionals {
    precondition(record.owner.wire.count <= 255 && record.effectiveTTL <= UInt32(Int32.max))
  }
  return 0
}
