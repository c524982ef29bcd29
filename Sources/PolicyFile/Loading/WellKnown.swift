import Addressing
import Policy

/// Hosts that open more than their name says. Version 2026-11.
///
/// - Source: the operators' own documentation of their DNS-over-HTTPS service
///   (RFC 8484) and of names that all their customers share.
enum WellKnown {
  /// Resolvers that answer DNS queries over https: whoever reaches them can
  /// look up, and so send out, anything (ATTACKS DNS-06).
  static let resolvers = names([
    "cloudflare-dns.com", "mozilla.cloudflare-dns.com", "chrome.cloudflare-dns.com", "one.one.one.one",
    "security.cloudflare-dns.com", "family.cloudflare-dns.com", "1dot1dot1dot1.cloudflare-dns.com",
    "dns.google", "dns.google.com", "dns64.dns.google", "dns.quad9.net", "dns9.quad9.net", "dns10.quad9.net",
    "dns11.quad9.net", "doh.opendns.com", "doh.familyshield.opendns.com", "dns.adguard-dns.com",
    "unfiltered.adguard-dns.com", "dns.nextdns.io", "doh.dns.sb", "doh.cleanbrowsing.org", "dns.controld.com",
    "freedns.controld.com", "doh.mullvad.net", "dns.mullvad.net", "odoh.cloudflare-dns.com", "dns.alidns.com",
    "doh.pub", "doh.360.cn", "doh.xfinity.com", "dns0.eu", "wikimedia-dns.org",
  ])

  /// The addresses of public resolvers, which answer https too.
  static let resolverAddresses = Set(
    [
      "1.1.1.1", "1.0.0.1", "8.8.8.8", "8.8.4.4", "9.9.9.9", "149.112.112.112", "208.67.222.222",
      "208.67.220.220", "94.140.14.14", "94.140.15.15", "2606:4700:4700::1111", "2606:4700:4700::1001",
      "2001:4860:4860::8888", "2001:4860:4860::8844", "2620:fe::fe", "2620:fe::9",
    ].compactMap { IPAddress($0) })

  /// Names below which every customer of an edge or a store has his own: who
  /// reaches one over TLS can ask the same machines for another (ATTACKS TLS-07).
  static let sharedEdges = names([
    "amazonaws.com", "cloudfront.net", "awsglobalaccelerator.com", "azureedge.net", "azurefd.net",
    "windows.net", "azure.com", "azurewebsites.net", "trafficmanager.net", "googleapis.com", "appspot.com",
    "googleusercontent.com", "run.app", "fastly.net", "fastlylb.net", "akamaized.net", "akamaihd.net",
    "edgekey.net", "edgesuite.net", "cloudflare.net", "workers.dev", "pages.dev", "r2.dev",
    "cloudflarestorage.com", "b-cdn.net", "cdn77.org", "jsdelivr.net", "herokuapp.com", "netlify.app",
    "vercel.app", "github.io", "gitlab.io", "onrender.com", "fly.dev", "ngrok.io", "ngrok-free.app",
    "trycloudflare.com", "digitaloceanspaces.com", "backblazeb2.com", "wasabisys.com", "sharepoint.com",
  ])

  private static func names(_ texts: [String]) -> Set<Hostname> {
    Set(texts.compactMap { try? Hostname($0) })
  }
}

/// Says why a pattern opens more than it seems to.
func wellKnown(_ pattern: HostPattern) -> Finding? {
  switch pattern {
  case .exact(let name) where WellKnown.resolvers.contains(name): return resolverFinding("'\(name)'")
  case .prefix(let block):
    guard let address = WellKnown.resolverAddresses.sorted().first(where: block.contains) else { return nil }
    return resolverFinding("'\(block)', with \(address) in it,")
  case .domain(let parent), .subdomains(let parent): return wideFinding(pattern, parent)
  case .exact, .anyName: return nil
  }
}

private func resolverFinding(_ what: String) -> Finding {
  Finding(
    cause: "\(what) answers DNS over https, which carries data out to any name",
    remedy: "Remove it, unless the agent must have a resolver of its own")
}

private func wideFinding(_ pattern: HostPattern, _ parent: Hostname) -> Finding? {
  let covered = WellKnown.resolvers.filter { pattern.matches(.name($0)) }.map(\.text).sorted().first
  if let covered { return resolverFinding("'\(pattern)', with \(covered) in it,") }
  let edge = sequence(first: parent, next: \.parent).first(where: WellKnown.sharedEdges.contains)
  guard let edge else { return nil }
  return Finding(
    cause:
      "'\(pattern)' lies under '\(edge)', whose machines many parties share, and inside https only the outer name is seen",
    remedy: "Name the hosts in full")
}

/// Whether many parties share the machines under `name`, or one that it lies under.
public func isSharedEdge(_ name: Hostname) -> Bool {
  sequence(first: name, next: \.parent).contains(where: WellKnown.sharedEdges.contains)
}

/// Whether DNS queries are answered over https there, which carries data out to any name.
public func isResolver(_ host: Host) -> Bool {
  switch host {
  case .name(let name): WellKnown.resolvers.contains(name)
  case .address(let address): WellKnown.resolverAddresses.contains(address)
  }
}
