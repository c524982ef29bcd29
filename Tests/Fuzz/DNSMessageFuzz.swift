import Addressing
import Wire

/// DNS messages: a query that is taken is rebuilt as the same query; names and
/// records trap nothing.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzDNSMessage(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  let bytes = Array(UnsafeBufferPointer(start: start, count: count))
  if let query = try? DNSQuery.parse(bytes) {
    let again = try? DNSQuery.parse(query.encoded)
    precondition(again?.question == query.question && again?.id == query.id)
    checkResponse(to: query, bytes)
  }
  guard let response = try? DNSResponse(bytes), let sections = try? response.sections() else { return 0 }
  checkAddresses(bytes, response, sections)
  for record in sections.answers + sections.authorities + sections.additionals {
    precondition(record.owner.wire.count <= 255 && record.effectiveTTL <= UInt32(Int32.max))
  }
  return 0
}

/// A response to whatever was taken as a query is read back as one to that query.
private func checkResponse(to query: DNSQuery, _ bytes: [UInt8]) {
  guard let scan = try? DNSQueryScan(bytes.span.bytes) else { preconditionFailure("taken and not taken") }
  var builder = DNSAnswerBuilder(questionLength: scan.nameLength + 4)
  builder.add(alias: .root)
  builder.addAuthority(serial: 1, minimum: 5)
  var output = [UInt8](repeating: 0, count: DNSResponseWriter.datagramLimit)
  let answer = builder.finish(.noError, .prohibited("no-rule"))
  let count = output.withUnsafeMutableBytes { buffer in
    var span = buffer.mutableBytes
    return DNSResponseWriter.write(
      answer, to: scan, in: bytes.span.bytes, lifetime: 5,
      limit: DNSResponseWriter.datagramLimit(for: scan), into: &span)
  }
  let response = try? DNSResponse(Array(output[..<count]))
  precondition(response?.question.name == query.question.name && response?.header.id == query.id)
  precondition((try? response?.sections())?.answers.count == 1)
}

/// What the plain reader takes, the general one reads the same.
private func checkAddresses(_ bytes: [UInt8], _ response: DNSResponse, _ sections: DNSSections) {
  let query = DNSQuery(id: response.header.id, question: response.question)
  guard let plain = DNSAddresses(bytes.span, answering: query) else { return }
  let addresses = sections.answers.compactMap { record -> IPAddress? in
    if case .address(let address) = record.data { address } else { nil }
  }
  precondition(addresses.count == sections.answers.count && sections.authorities.isEmpty)
  precondition(Set(addresses) == Set(plain.addresses))
  precondition(sections.answers.map(\.effectiveTTL).min() == plain.timeToLive)
}
