import Addressing
import Policy

/// Reads a list's `expect`.
struct ExpectationReader {
  let scope: Scope

  /// Reads a file of which only the expectations count.
  func readFile(_ root: Node) -> [Expectation] {
    guard
      let fields = Fields(
        root, in: scope, of: "a file of expectations", keys: DocumentReader.keys,
        example: "a file with 'version: 1' and 'expect'"),
      let node = fields.required(
        "expect", of: "the file", example: "expect: [{ to: \"api.example.com:443\", answer: allow }]")
    else { return [] }
    DocumentReader.checkVersion(fields)
    return read(node)
  }

  func read(_ node: Node?) -> [Expectation] {
    guard let node else { return [] }
    let items =
      scope.items(node, "'expect'", example: "[{ to: \"api.example.com:443\", answer: allow }]") ?? []
    return items.compactMap(expectation)
  }

  private func expectation(_ node: Node) -> Expectation? {
    guard
      let fields = Fields(
        node, in: scope, of: "an expectation", keys: ["to", "protocol", "answer", "agent", "method", "path"],
        example: "an expectation such as { to: \"api.example.com:443\", answer: allow }")
    else { return nil }
    let to = fields.required("to", of: "the expectation", example: "to: \"api.example.com:443\"").flatMap(
      authority)
    let answer = fields.required("answer", of: "the expectation", example: "answer: allow")
      .flatMap { scope.choice($0, "'answer'", from: [Action.allow, .ask, .deny]) }
    let traffic = fields["protocol"].flatMap {
      scope.choice($0, "'protocol'", from: TrafficProtocol.allCases)
    }
    let request = request(fields)
    guard let to, let answer else { return nil }
    return Expectation(
      destination: Destination(to.host, to.port, traffic ?? .https), agent: agent(fields), request: request,
      answer: answer, place: "\(scope.file):\(node.mark.line)")
  }

  private func agent(_ fields: Fields) -> AgentName {
    guard let text = fields.text("agent", example: "ci") else { return .default }
    if let name = AgentName(text) { return name }
    scope.error(fields.mark(of: "agent"), "\(quoted(text)) is no agent's name", "Write one such as ci")
    return .default
  }

  private func authority(_ node: Node) -> Authority? {
    let example = "a host and a port such as \"api.example.com:443\""
    guard let text = scope.text(node, "'to'", example: example) else { return nil }
    if let authority = try? Authority(text.utf8) { return authority }
    scope.error(node.mark, "\(quoted(text)) is no host and port", "Write \(example)")
    return nil
  }

  private func request(_ fields: Fields) -> RequestFacts? {
    guard fields.has("method") || fields.has("path") else { return nil }
    let method = fields.text("method", example: "GET") ?? "GET"
    return RequestFacts(method: method, path: fields.text("path", example: "/") ?? "/")
  }
}
