import Addressing
import EventLoop
import SystemPackage

/// One dial: the first of several addresses that takes a TCP connection.
public final class Dialer: ChannelDelegate {
  /// Takes the connection and the address it leads to, or why there is none.
  public typealias Completion = (Result<(Channel, Endpoint), DialFailure>) -> Void

  private let loop: EventLoop
  private let endpoints: [Endpoint]
  private let deadline: MonotonicTime
  private var core: DialCore
  private var channels: [(place: Int, channel: Channel)] = []
  private var alarm: TimerID?
  private var completion: Completion?

  /// Dials addresses that the policy admitted.
  ///
  /// Families take turns, IPv6 first; a new attempt starts every 250 ms, and at
  /// once when one fails; what comes second is closed (RFC 8305).
  ///
  /// - Parameters:
  ///   - timeout: For the whole dial; up to 250 ms late.
  ///   - completion: Called once, on the loop, and before this returns when
  ///     every attempt fails at once. The channel it gets is connected, has
  ///     neither delegate nor deadline, and may be readable already.
  /// - Returns: The dial, for `cancel`. It lives on its own until it is over.
  @discardableResult
  public static func dial(
    _ addresses: [IPAddress], port: Port, on loop: EventLoop, timeout: Duration = .seconds(10),
    completion: @escaping Completion
  ) -> Dialer {
    let dialer = Dialer(addresses, port: port, on: loop, timeout: timeout, completion)
    dialer.handle(.start)
    return dialer
  }

  private init(
    _ addresses: [IPAddress], port: Port, on loop: EventLoop, timeout: Duration,
    _ completion: @escaping Completion
  ) {
    self.loop = loop
    endpoints = interleaved(addresses).map { Endpoint($0, port) }
    deadline = loop.now + timeout
    core = DialCore(count: endpoints.count)
    self.completion = completion
  }

  /// Ends the dial, closes what is open, and calls nobody.
  public func cancel() {
    completion = nil
    handle(.deadline)
  }

  public func channelIsReady(_ channel: Channel) {
    guard let place = place(of: channel) else { return }
    switch channel.finishConnecting() {
    case .pending: break
    case .connected: handle(.connected(place))
    case .failed(let error):
      close(place)
      handle(.failed(place, DialFailure(error)))
    }
  }

  public func channelDeadlinePassed(_ channel: Channel) {
    handle(.deadline)
  }

  private func handle(_ event: DialCore.Event) {
    for effect in core.handle(event) { perform(effect) }
  }

  private func perform(_ effect: DialCore.Effect) {
    switch effect {
    case .connect(let place): connect(place)
    case .close(let place): close(place)
    case .setAlarm:
      cancelAlarm()
      alarm = loop.schedule(after: DialCore.stagger) { [weak self] in
        self?.alarm = nil
        self?.handle(.alarm)
      }
    case .cancelAlarm: cancelAlarm()
    case .finish(.success(let place)): handOver(place)
    case .finish(.failure(let failure)): finish(.failure(failure))
    }
  }

  private func connect(_ place: Int) {
    do throws(Errno) {
      let channel = try loop.connect(to: endpoints[place])
      channel.delegate = self
      channel.deadline = deadline
      channels.append((place, channel))
    } catch {
      handle(.failed(place, DialFailure(error)))
    }
  }

  private func handOver(_ place: Int) {
    guard let index = channels.firstIndex(where: { $0.place == place }) else { return }
    let channel = channels.remove(at: index).channel
    channel.delegate = nil
    channel.deadline = nil
    finish(.success((channel, endpoints[place])))
  }

  private func finish(_ result: Result<(Channel, Endpoint), DialFailure>) {
    guard let completion else { return }
    self.completion = nil
    completion(result)
  }

  private func place(of channel: Channel) -> Int? {
    channels.first { $0.channel === channel }?.place
  }

  private func close(_ place: Int) {
    guard let index = channels.firstIndex(where: { $0.place == place }) else { return }
    let channel = channels.remove(at: index).channel
    channel.delegate = nil
    channel.close()
  }

  private func cancelAlarm() {
    guard let alarm else { return }
    loop.cancel(alarm)
    self.alarm = nil
  }
}
