import Addressing
import Control

extension ResolverStatus {
  /// What all loops together know of each upstream, in the order they are asked; one
  /// that several zones share is there for each.
  static func upstreams(_ routes: UpstreamRoutes, _ loops: [[Upstream: UpstreamHealth]]) -> [UpstreamStatus] {
    let lines = [(nil, routes.standard)] + routes.zones.map { ($0.name.text, $0.upstreams) }
    return lines.flatMap { zone, upstreams in
      upstreams.map { upstream in
        UpstreamStatus(upstream, zone: zone, seen: loops.compactMap { $0[upstream] })
      }
    }
  }
}

extension UpstreamStatus {
  /// It is down when it is for every loop that has asked it.
  fileprivate init(_ upstream: Upstream, zone: String?, seen: [UpstreamHealth]) {
    let times = seen.compactMap(\.smoothedTime)
    self.init(
      address: upstream.endpoint.description, zone: zone,
      isDown: !seen.isEmpty && seen.allSatisfy(\.isDown),
      latency: times.isEmpty ? nil : times.reduce(.zero, +) / times.count,
      queries: seen.reduce(0) { $0 + $1.queries }, timeouts: seen.reduce(0) { $0 + $1.timeouts },
      failures: seen.reduce(0) { $0 + $1.failures }, cause: seen.lazy.compactMap(\.cause).first)
    if case .tls(let name) = upstream.transport { certificateName = name.text }
  }
}
