import Addressing
import CLinux
import Dispatch
import Glibc

/// Raises the limit on open descriptors to the hard limit.
///
/// - Returns: The limit that holds now, in descriptors.
@discardableResult
public func raiseDescriptorLimit() -> (soft: UInt64, hard: UInt64) {
  var soft: UInt64 = 0, hard: UInt64 = 0
  guard linux_get_descriptor_limit(&soft, &hard) == 0 else { return (0, 0) }
  if soft < hard, linux_set_descriptor_limit(hard, hard) == 0 { soft = hard }
  return (soft, hard)
}

/// Lets a write to a closed pipe or socket fail with EPIPE: splice(2) has no MSG_NOSIGNAL.
public func ignoreSIGPIPE() {
  signal(SIGPIPE, SIG_IGN)
}

/// Signals as events on a queue.
public final class SignalWatch {
  private let sources: [any DispatchSourceSignal]

  private init(_ sources: [any DispatchSourceSignal]) {
    self.sources = sources
  }

  /// Calls `handler` with each of `signals` instead of what they do by default, until the watch is dropped.
  ///
  /// - Parameter ready: Called on `queue` once the watch has begun. Dispatch
  ///   begins it on a thread of its own; a signal that comes sooner is lost.
  public static func on(
    _ signals: [Int32], queue: DispatchQueue, handler: @escaping @Sendable (Int32) -> Void,
    ready: @escaping @Sendable () -> Void = {}
  ) -> SignalWatch {
    let begun = DispatchGroup()
    let sources = signals.map { number in
      signal(number, SIG_IGN)
      let source = DispatchSource.makeSignalSource(signal: number, queue: queue)
      begun.enter()
      source.setRegistrationHandler { begun.leave() }
      source.setEventHandler { handler(number) }
      source.activate()
      return source
    }
    begun.notify(queue: queue, execute: ready)
    return SignalWatch(sources)
  }

  deinit {
    sources.forEach { $0.cancel() }
  }
}

/// The addresses of this host's interfaces that are up (getifaddrs(3)); empty when the kernel does not say.
public func localAddresses() -> Set<IPAddress> { addresses { _ in true } }

/// Those of one interface.
public func localAddresses(on device: String) -> Set<IPAddress> { addresses { $0 == device } }

private func addresses(where isWanted: (String) -> Bool) -> Set<IPAddress> {
  var list: UnsafeMutablePointer<ifaddrs>?
  guard getifaddrs(&list) == 0 else { return [] }
  defer { freeifaddrs(list) }
  var found: Set<IPAddress> = []
  var next = list
  while let entry = next?.pointee {
    if isWanted(String(cString: entry.ifa_name)), let address = entry.ifa_addr.flatMap(ipAddress) {
      found.insert(address)
    }
    next = entry.ifa_next
  }
  return found
}

private func ipAddress(_ pointer: UnsafeMutablePointer<sockaddr>) -> IPAddress? {
  // getifaddrs(3) aligns each address for its family.
  let raw = UnsafeRawPointer(pointer)
  switch Int32(pointer.pointee.sa_family) {
  case AF_INET:
    return .v4(UInt32(bigEndian: raw.load(as: sockaddr_in.self).sin_addr.s_addr))
  case AF_INET6:
    let (high, low) = halves(raw.load(as: sockaddr_in6.self).sin6_addr)
    return .v6(high: high, low: low)
  default: return nil
  }
}

/// The names of all network devices of this thread's namespace.
///
/// - Source: if_nameindex(3).
public func networkDevices() -> [String] {
  guard let first = if_nameindex() else { return [] }
  defer { if_freenameindex(first) }
  var devices: [String] = []
  var entry = first
  while let name = entry.pointee.if_name {
    devices.append(String(cString: name))
    entry += 1
  }
  return devices
}
