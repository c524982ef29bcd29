import Testing

@testable import Gateway

@Suite("A resolver's stories")
struct ResolverScenarioTests {
  @Test("Answers and their chains", arguments: answersStories)
  func answers(_ scenario: ResolverScenario) throws { try scenario.run() }

  @Test("Replies that are none", arguments: spoofsStories)
  func spoofs(_ scenario: ResolverScenario) throws { try scenario.run() }

  @Test("Upstreams in trouble", arguments: troubleStories)
  func trouble(_ scenario: ResolverScenario) throws { try scenario.run() }

  @Test("Both address families", arguments: familiesStories)
  func families(_ scenario: ResolverScenario) throws { try scenario.run() }

  @Test("Zones with upstreams of their own", arguments: zonesStories)
  func zones(_ scenario: ResolverScenario) throws { try scenario.run() }

  @Test("Upstreams asked over TLS", arguments: secureStories)
  func secure(_ scenario: ResolverScenario) throws { try scenario.run() }

  @Test("Upstreams that are down", arguments: healthStories)
  func health(_ scenario: ResolverScenario) throws { try scenario.run() }

  @Test("What is remembered, and how long", arguments: memoryStories)
  func memory(_ scenario: ResolverScenario) throws { try scenario.run() }
}
