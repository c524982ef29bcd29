import Foundation
import Testing

/// Who may import whom, and why some things are imported nowhere.
@Suite struct LayeringTests {
  struct Target: Sendable, CustomTestStringConvertible {
    var name: String, imports: Set<String>
    var testDescription: String { name }
  }

  /// What gives access to the system: which targets have it is a matter of this table alone.
  static let system: Set<String> = [
    "Glibc", "Dispatch", "Synchronization", "SystemPackage", "FoundationEssentials",
  ]

  static let targets = [
    Target(name: "Addressing", imports: []),
    Target(name: "Wire", imports: ["Addressing"]),
    Target(name: "Policy", imports: ["Addressing"]),
    Target(name: "Approvals", imports: ["Addressing", "Policy"]),
    Target(
      name: "PolicyFile",
      imports: [
        "Addressing", "Policy", "CYAML", "CPSL", "CIDN2", "SystemPackage", "Glibc", "Synchronization",
      ]),
    Target(
      name: "Audit",
      imports: [
        "Addressing", "Policy", "Crypto", "SystemPackage", "Glibc", "Dispatch", "Synchronization",
        "FoundationEssentials",
      ]),
    Target(
      name: "Review",
      imports: [
        "Addressing", "Policy", "PolicyFile", "Audit", "CSQLite", "Glibc", "Dispatch", "Synchronization",
      ]),
    Target(
      name: "EventLoop",
      imports: ["Addressing", "CLinux", "SystemPackage", "Glibc", "Dispatch", "Synchronization"]),
    Target(name: "TLSClient", imports: ["Addressing", "COpenSSL"]),
    Target(name: "Pages", imports: ["Addressing", "Wire", "EventLoop"]),
    Target(name: "Keeper", imports: ["Addressing", "Firewall", "Confinement", "Glibc", "Dispatch"]),
    Target(name: "Confinement", imports: ["CLinux", "SystemPackage", "Glibc"]),
    Target(name: "Launcher", imports: ["CLinux", "Confinement", "SystemPackage", "Glibc"]),
    Target(name: "Control", imports: ["Addressing", "Policy", "Audit"]),
    Target(
      name: "Gateway",
      imports: [
        "Addressing", "Wire", "Policy", "Approvals", "PolicyFile", "Audit", "EventLoop", "Control",
        "Firewall", "Keeper",
        "Pages", "TLSClient", "Crypto", "SystemPackage",
        "Logging", "Glibc", "Dispatch", "Synchronization",
      ]),
    Target(
      name: "Shipping",
      imports: [
        "Addressing", "Wire", "Policy", "Audit", "TLSClient", "CLinux", "SystemPackage", "Glibc",
        "Synchronization",
      ]),
    Target(
      name: "Webhook",
      imports: [
        "Addressing", "Policy", "Approvals", "Audit", "TLSClient", "Pages", "Control", "Gateway", "Shipping",
        "Crypto", "Glibc", "Dispatch", "Synchronization",
      ]),
    Target(name: "Firewall", imports: ["Addressing", "CNetfilter", "Glibc", "Synchronization"]),
    Target(
      name: "ReviewPage",
      imports: [
        "Addressing", "Policy", "PolicyFile", "Audit", "Review", "EventLoop", "Pages", "Control", "Glibc",
        "Dispatch", "Synchronization",
      ]),
    Target(
      name: "exitgate",
      imports: [
        "Addressing", "Wire", "Policy", "Approvals", "PolicyFile", "Audit", "Review", "EventLoop", "Gateway",
        "Firewall",
        "Control",
        "CLinux", "Confinement", "Keeper", "Launcher", "ReviewPage", "TLSClient",
        "Shipping", "Webhook", "Pages",
        "ArgumentParser", "Logging", "SystemPackage", "Glibc", "Dispatch", "Synchronization",
      ]),
  ]

  @Test("a target imports only what stands below it", arguments: targets)
  func direction(_ target: Target) throws {
    let files = House.sources.filter { House.target(of: $0) == target.name }
    #expect(!files.isEmpty, "the target has no file: the table is out of date")
    for file in files {
      let foreign = Set(try House.imports(of: file)).subtracting(target.imports)
      #expect(foreign.isEmpty, "\(file) imports \(foreign.sorted())")
    }
  }

  @Test("every Swift target is in the table")
  func complete() {
    let seen = Set(House.sources.map(House.target(of:)))
    #expect(seen == Set(Self.targets.map(\.name)))
  }

  @Test("nothing in the sources imports the full Foundation, Combine or a network framework")
  func forbidden() throws {
    for file in House.sources {
      let imports = try House.imports(of: file)
      for name in ["Foundation", "FoundationNetworking", "NIO", "NIOCore", "NIOPosix", "Yams", "GRDB"] {
        #expect(!imports.contains(name), "\(file) imports \(name)")
      }
    }
  }

  @Test("the resolved package graph holds no SwiftNIO and nothing else beyond the list")
  func graph() throws {
    let manifest = try House.text("Package.swift")
    let named = manifest.matches(of: /github\.com\/([\w.-]+\/[\w.-]+)"/).map { String($0.1) }
    #expect(
      Set(named) == [
        "apple/swift-argument-parser", "apple/swift-crypto", "apple/swift-log", "apple/swift-system",
      ])
    let resolved = try House.text("Package.resolved")
    let identities = resolved.matches(of: /"identity" : "([^"]+)"/).map { String($0.1) }
    #expect(
      Set(identities).isSubset(of: [
        "swift-argument-parser", "swift-crypto", "swift-log", "swift-system", "swift-asn1",
      ]), "\(identities)")
  }

  @Test("hosts are compared as values, never by their ends or their case")
  func noHostStrings() throws {
    for file in House.sources where ["Policy", "Wire", "Gateway"].contains(House.target(of: file)) {
      let text = try House.text(file)
      for word in ["hasSuffix(", ".lowercased()", "getaddrinfo", "URL("] {
        #expect(!text.contains(word), "\(file) uses \(word)")
      }
    }
  }
}
