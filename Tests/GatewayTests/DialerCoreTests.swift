import Addressing
import SystemPackage
import Testing

@testable import Gateway

@Suite("Which address is dialled when")
struct DialerCoreTests {
  struct Story: Sendable, CustomTestStringConvertible {
    var name: String, count: Int
    var steps: [(DialCore.Event, [DialCore.Effect])]
    var testDescription: String { name }
  }

  static let stories: [Story] = [
    Story(
      name: "one address: no alarm, whatever becomes of it", count: 1,
      steps: [(.start, [.connect(0)]), (.connected(0), [.finish(.success(0))])]),
    Story(
      name: "one address that refuses", count: 1,
      steps: [(.start, [.connect(0)]), (.failed(0, .refused), [.finish(.failure(.refused))])]),
    Story(name: "no address", count: 0, steps: [(.start, [.finish(.failure(.unreachable))])]),
    Story(
      name: "the second starts after 250 ms, the first still wins, the loser is closed", count: 2,
      steps: [
        (.start, [.setAlarm, .connect(0)]), (.alarm, [.connect(1)]),
        (.connected(0), [.close(1), .finish(.success(0))]),
        (.connected(1), []), (.failed(1, .refused), []), (.deadline, []),
      ]),
    Story(
      name: "the second starts at once when the first fails", count: 3,
      steps: [
        (.start, [.setAlarm, .connect(0)]), (.failed(0, .unreachable), [.setAlarm, .connect(1)]),
        (.connected(1), [.cancelAlarm, .finish(.success(1))]),
      ]),
    Story(
      name: "the last attempt takes the alarm back", count: 2,
      steps: [(.start, [.setAlarm, .connect(0)]), (.failed(0, .refused), [.cancelAlarm, .connect(1)])]),
    Story(
      name: "a refusal tells more than no way there", count: 2,
      steps: [
        (.start, [.setAlarm, .connect(0)]), (.failed(0, .refused), [.cancelAlarm, .connect(1)]),
        (.failed(1, .unreachable), [.finish(.failure(.refused))]),
      ]),
    Story(
      name: "nobody answered tells more than no way there", count: 2,
      steps: [
        (.start, [.setAlarm, .connect(0)]), (.failed(0, .unreachable), [.cancelAlarm, .connect(1)]),
        (.deadline, [.close(1), .finish(.failure(.timedOut))]),
      ]),
    Story(
      name: "the deadline closes everything; a refusal before it still tells more", count: 4,
      steps: [
        (.start, [.setAlarm, .connect(0)]), (.failed(0, .refused), [.setAlarm, .connect(1)]),
        (.alarm, [.setAlarm, .connect(2)]),
        (.deadline, [.close(1), .close(2), .cancelAlarm, .finish(.failure(.refused))]),
      ]),
    Story(
      name: "an end while others are open is not the end", count: 2,
      steps: [
        (.start, [.setAlarm, .connect(0)]), (.alarm, [.connect(1)]), (.failed(0, .refused), []),
        (.connected(1), [.finish(.success(1))]),
      ]),
  ]

  @Test("Attempts", arguments: stories)
  func story(_ story: Story) {
    var core = DialCore(count: story.count)
    for (event, effects) in story.steps { #expect(core.handle(event) == effects, "\(story.name): \(event)") }
  }

  @Test("Behind 64 silent addresses no more than 8 attempts are open, and a failure makes room")
  func bounded() {
    var core = DialCore(count: 64)
    var open = core.handle(.start).count { if case .connect = $0 { true } else { false } }
    for _ in 0..<20 { open += core.handle(.alarm).count { if case .connect = $0 { true } else { false } } }
    #expect(open == DialCore.maximumOpen)
    #expect(core.handle(.failed(3, .refused)).contains(.connect(8)))
  }

  @Test(
    "RFC 8305: families take turns, IPv6 first, each address once",
    arguments: [
      (["1.0.0.1"], ["1.0.0.1"]),
      (["1.0.0.1", "1.0.0.2", "2a00::1"], ["2a00::1", "1.0.0.1", "1.0.0.2"]),
      (
        ["1.0.0.1", "2a00::1", "2a00::2", "2a00::3", "1.0.0.2"],
        ["2a00::1", "1.0.0.1", "2a00::2", "1.0.0.2", "2a00::3"]
      ),
      (["1.0.0.1", "1.0.0.1"], ["1.0.0.1"]),
      ([], []),
    ] as [([String], [String])])
  func order(_ given: [String], _ expected: [String]) throws {
    #expect(interleaved(try given.map { try #require(IPAddress($0)) }).map(\.description) == expected)
  }

  @Test(
    "connect(2)'s errors are told apart",
    arguments: [
      (.connectionRefused, .refused), (.timedOut, .timedOut), (.networkUnreachable, .unreachable),
      (.noRouteToHost, .unreachable), (.addressNotAvailable, .unreachable),
      (.tooManyOpenFiles, .failed(.tooManyOpenFiles)), (.permissionDenied, .failed(.permissionDenied)),
    ] as [(Errno, DialFailure)])
  func failures(_ error: Errno, _ failure: DialFailure) {
    #expect(DialFailure(error) == failure)
  }
}
