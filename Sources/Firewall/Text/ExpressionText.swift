import Addressing

extension Expression {
  var text: String { matchText ?? statementText }

  private var matchText: String? {
    switch self {
    case .compare(let field, let datum, let comparison): "\(field.rawValue) \(comparison.text)\(datum)"
    case .oneOf(let field, let data):
      "\(field.rawValue) { \(data.map(\.description).joined(separator: ", ")) }"
    case .lookup(let fields, let set, let comparison): "\(text(of: fields)) \(comparison.text)@\(set)"
    case .state(let states): "ct state \(states.map(\.text).joined(separator: ","))"
    case .statusDNAT: "ct status dnat"
    case .direction(let direction): "ct direction \(direction)"
    case .notSYN: "tcp flags & (fin | syn | rst | ack) != syn"
    case .flowsOver(let count): "ct count over \(count)"
    case .destinationIsLocal: "fib daddr type local"
    case .sourceIsForeign: "fib saddr type != local"
    case .sourceRouteMissing: "fib saddr . iif oif missing"
    case .socketCgroup(let group): "socket cgroupv2 level \(group.level) \"\(group.path)\""
    case .hasRoutingHeader: "exthdr rt exists"
    default: nil
    }
  }

  private var statementText: String {
    switch self {
    case .counter: "counter"
    case .count(let name): "counter name \"\(name)\""
    case .limit(let rate, let burst): "limit rate \(rate)/second burst \(burst) packets"
    case .log(let group, let snaplen, let prefix):
      "log group \(group) snaplen \(snaplen) prefix \"\(prefix)\""
    case .setConnectionMark(let mark): "ct mark set \(mark)"
    case .mapConnectionMark(let fields, let map): "ct mark set \(text(of: fields)) map @\(map)"
    case .setMark(let mark): "meta mark set \(mark)"
    case .setUDPSourcePort(let port): "udp sport set \(port)"
    case .redirect(let port): "redirect to :\(port)"
    case .tproxy(let address, let port):
      address.isV4 ? "tproxy ip to \(address):\(port)" : "tproxy ip6 to [\(address)]:\(port)"
    case .masquerade: "masquerade"
    case .rejectReset: "reject with tcp reset"
    case .rejectProhibited: "reject with icmpx admin-prohibited"
    case .accept: "accept"
    case .drop: "drop"
    case .return: "return"
    case .jump(let chain): "jump \(chain)"
    case .goto(let chain): "goto \(chain)"
    default: preconditionFailure("a match has its text in matchText")
    }
  }

  private func text(of fields: [Field]) -> String {
    fields.map(\.rawValue).joined(separator: " . ")
  }
}

extension Expression.Comparison {
  fileprivate var text: String { self == .equal ? "" : "!= " }
}
