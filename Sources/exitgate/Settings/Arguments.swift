import Addressing
import ArgumentParser
import Audit
import Gateway
import Policy
import Shipping

/// Readers of option values; each error says what to write instead.
enum Reading {
  /// `127.0.0.1:3128`, `[::1]:3128` or `unix:/path`.
  @Sendable static func listenAddress(_ text: String) throws -> ListenAddress {
    guard let address = ListenAddress(text) else {
      throw ValidationError(
        "It is no address to listen on. Write 127.0.0.1:3128, [::1]:3128 or unix:/absolute/path.")
    }
    return address
  }

  /// `ADDRESS[:PORT]` or `tls://ADDRESS[:PORT]#NAME`.
  @Sendable static func upstream(_ text: String) throws -> Upstream {
    do { return try Upstream(text) } catch { throw ValidationError(error.description) }
  }

  /// `syslog+tls://HOST:PORT`, `https://HOST:PORT` or `http://HOST:PORT`.
  @Sendable static func shippingTarget(_ text: String) throws -> ShippingTarget {
    do { return try ShippingTarget(text) } catch { throw ValidationError(error.description) }
  }

  /// `unix:/path` or `ADDRESS:PORT`.
  @Sendable static func localPlace(_ text: String) throws -> LocalPlace {
    guard let place = LocalPlace(text) else {
      throw ValidationError("It is no place to read metrics. Write 127.0.0.1:9464 or unix:/absolute/path.")
    }
    return place
  }

  /// `ZONE=UPSTREAM`.
  @Sendable static func forward(_ text: String) throws -> UpstreamForward {
    do { return try UpstreamForward(text) } catch { throw ValidationError(error.description) }
  }

  /// `ADDRESS:PORT`; port 53 where it is left out.
  @Sendable static func dnsListener(_ text: String) throws -> Endpoint {
    guard let endpoint = Endpoint(text, defaultPort: .domain) else {
      throw ValidationError("It is no address to answer DNS on. Write 127.0.0.1:53 or [::1]:53.")
    }
    return endpoint
  }

  @Sendable static func agent(_ text: String) throws -> AgentName {
    guard let name = AgentName(text) else {
      throw ValidationError("It is no agent's name. Names are [a-z0-9][a-z0-9_-]*, at most 63 characters.")
    }
    return name
  }

  @Sendable static func traffic(_ text: String) throws -> TrafficProtocol {
    guard let traffic = TrafficProtocol(rawValue: text) else {
      throw ValidationError("It is no protocol. Write https, http, tcp, udp or dns.")
    }
    return traffic
  }

  /// `TXT`, in any case, or `TYPE65280`.
  @Sendable static func recordType(_ text: String) throws -> UInt16 {
    guard let type = RecordTypes.number(of: text.uppercased()) else {
      throw ValidationError("It is no type of DNS records. Write A, AAAA, TXT or TYPE65280.")
    }
    return type
  }

  @Sendable static func layer(_ text: String) throws -> Layer {
    guard let layer = Layer(rawValue: text) else {
      throw ValidationError("It is no layer. Write connect, http, socks, transparent, sni, dns or kernel.")
    }
    return layer
  }

  @Sendable static func key(_ text: String) throws -> VerifyingKey {
    guard let key = VerifyingKey(hex: text) else {
      throw ValidationError(
        "It is no public key. Write the 64 hexadecimal digits of the log's .key.pub file.")
    }
    return key
  }

  /// A host pattern as the policy writes it; an address stands for itself.
  @Sendable static func hostPattern(_ text: String) throws -> HostPattern {
    if let block = IPPrefix(text) { return .prefix(block) }
    for (mark, make) in [("**.", HostPattern.domain), ("*.", HostPattern.subdomains(of:))] {
      guard text.utf8.starts(with: mark.utf8) else { continue }
      if let name = try? Hostname(text.utf8.dropFirst(mark.utf8.count)) { return make(name) }
    }
    guard let name = try? Hostname(text.utf8) else {
      throw ValidationError("It is no host. Write example.com, '*.example.com', an address or 10.0.0.0/8.")
    }
    return .exact(name)
  }

  /// A size in bytes: `256MiB`, `1GiB`, `65536`.
  @Sendable static func size(_ text: String) throws -> Int64 {
    for (unit, factor) in [("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("", 1)]
      as [(String, UInt64)]
    {
      guard text.utf8.count > unit.utf8.count, text.utf8.suffix(unit.utf8.count).elementsEqual(unit.utf8),
        let number = number(text.utf8.dropLast(unit.utf8.count))
      else { continue }
      let (bytes, overflow) = number.multipliedReportingOverflow(by: factor)
      if !overflow, let size = Int64(exactly: bytes) { return size }
    }
    throw ValidationError("It is no size. Write it as 256MiB, 1GiB or in bytes.")
  }

  /// A span in whole seconds: `90s`, `30m`, `8h`, `7d`.
  @Sendable static func seconds(_ text: String) throws -> Int64 {
    guard let unit = text.utf8.last.flatMap({ units[$0] }), let number = number(text.utf8.dropLast()),
      let seconds = Int64(exactly: number.multipliedReportingOverflow(by: unit).partialValue),
      number <= 4_000_000_000 / unit
    else { throw ValidationError("It is no time. Write 90s, 30m, 8h or 7d.") }
    return seconds
  }

  /// In seconds.
  private static let units: [UInt8: UInt64] = [
    UInt8(ascii: "s"): 1, UInt8(ascii: "m"): 60, UInt8(ascii: "h"): 3600, UInt8(ascii: "d"): 86_400,
  ]

  /// How long a connection may be held: whole seconds, at most ten minutes, as in the policy.
  @Sendable static func hold(_ text: String) throws -> Duration {
    guard let number = number(text.utf8), number <= 600 else {
      throw ValidationError("It is no time to wait. Write whole seconds, 0 to 600.")
    }
    return .seconds(Int64(number))
  }

  /// How long ago (`90s`, `30m`, `2h`, `7d`) or when (`2026-11-24T10:00:00Z`).
  @Sendable static func since(_ text: String) throws -> Timestamp {
    if let time = Timestamp(text) { return time }
    guard let unit = text.utf8.last.flatMap({ units[$0] }), let number = number(text.utf8.dropLast()),
      // A hundred years and more are as good as for ever.
      number <= 4_000_000_000 / unit
    else { throw ValidationError("It is no time. Write 30m, 2h or 7d ago, or 2026-11-24T10:00:00Z.") }
    return Timestamp(milliseconds: wallClock().milliseconds - Int64(number * unit) * 1000)
  }

  /// Decimal digits, at most twelve.
  private static func number(_ digits: some Collection<UInt8>) -> UInt64? {
    guard (1...12).contains(digits.count) else { return nil }
    var value: UInt64 = 0
    for digit in digits {
      guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(digit) else { return nil }
      value = value * 10 + UInt64(digit - UInt8(ascii: "0"))
    }
    return value
  }
}
