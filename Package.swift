// swift-tools-version: 6.2
import PackageDescription

/// What every target is compiled with: the house rules a compiler can hold.
let strict: [SwiftSetting] = [
  .swiftLanguageMode(.v6),
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("MemberImportVisibility"),
  .treatAllWarnings(as: .error),
]

/// How the program is linked: the toolchain's lld folds what is alike, and
/// nothing but the program itself looks up its symbols by name. A tenth less
/// of the file is then touched at the start.
let tight: [LinkerSetting] = [
  .unsafeFlags(
    ["-use-ld=lld", "-Xlinker", "-O2", "-Xlinker", "--icf=safe", "-Xlinker", "--no-export-dynamic"],
    .when(configuration: .release))
]

let systemPackage: Target.Dependency = .product(name: "SystemPackage", package: "swift-system")
let logging: Target.Dependency = .product(name: "Logging", package: "swift-log")
let crypto: Target.Dependency = .product(name: "Crypto", package: "swift-crypto")

let package = Package(
  name: "exitgate-package",
  products: [.executable(name: "exitgate", targets: ["exitgate"])],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
    .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
    .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
    .package(url: "https://github.com/apple/swift-system", from: "1.8.1"),
  ],
  targets: [
    .systemLibrary(name: "CYAML", pkgConfig: "yaml-0.1", providers: [.apt(["libyaml-dev"])]),
    .systemLibrary(name: "CPSL", pkgConfig: "libpsl", providers: [.apt(["libpsl-dev"])]),
    .systemLibrary(name: "CIDN2", pkgConfig: "libidn2", providers: [.apt(["libidn2-dev"])]),
    .systemLibrary(
      name: "CNetfilter", pkgConfig: "libnftnl", providers: [.apt(["libnftnl-dev", "libmnl-dev"])]),
    .target(name: "CLinux"),
    .target(name: "COpenSSL"),
    .target(name: "CSQLite"),

    .target(name: "Addressing", swiftSettings: strict),
    .target(name: "Wire", dependencies: ["Addressing"], swiftSettings: strict + [.strictMemorySafety()]),
    .target(name: "Policy", dependencies: ["Addressing"], swiftSettings: strict),
    .target(name: "Approvals", dependencies: ["Addressing", "Policy"], swiftSettings: strict),
    .target(
      name: "PolicyFile", dependencies: ["Policy", "Addressing", "CYAML", "CPSL", "CIDN2", systemPackage],
      swiftSettings: strict),
    .target(
      name: "Audit",
      dependencies: ["Addressing", "Policy", crypto, systemPackage],
      swiftSettings: strict),
    .target(
      name: "Review", dependencies: ["Addressing", "Policy", "PolicyFile", "Audit", "CSQLite"],
      swiftSettings: strict),
    .target(
      name: "EventLoop", dependencies: ["CLinux", "Addressing", systemPackage], swiftSettings: strict),
    .target(name: "TLSClient", dependencies: ["Addressing", "COpenSSL"], swiftSettings: strict),
    .target(name: "Pages", dependencies: ["Addressing", "Wire", "EventLoop"], swiftSettings: strict),
    .target(name: "Confinement", dependencies: ["CLinux", systemPackage], swiftSettings: strict),
    .target(
      name: "Launcher", dependencies: ["CLinux", "Confinement", systemPackage], swiftSettings: strict),
    .target(name: "Control", dependencies: ["Addressing", "Policy", "Audit"], swiftSettings: strict),
    .target(name: "Firewall", dependencies: ["CNetfilter", "Addressing"], swiftSettings: strict),
    .target(name: "Keeper", dependencies: ["Addressing", "Firewall", "Confinement"], swiftSettings: strict),
    .target(
      name: "Gateway",
      dependencies: [
        "Addressing", "Wire", "Policy", "Approvals", "PolicyFile", "Audit", "EventLoop", "Control",
        "Firewall", "Keeper",
        "Pages", "TLSClient", crypto, systemPackage, logging,
      ],
      swiftSettings: strict),
    .target(
      name: "ReviewPage",
      dependencies: [
        "Addressing", "Policy", "PolicyFile", "Audit", "Review", "EventLoop", "Pages", "Control",
      ],
      exclude: ["Assets"], swiftSettings: strict),
    .target(
      name: "Shipping",
      dependencies: ["Addressing", "Wire", "Policy", "Audit", "TLSClient", "CLinux", systemPackage],
      swiftSettings: strict),
    .target(
      name: "Webhook",
      dependencies: [
        "Addressing", "Policy", "Approvals", "Audit", "TLSClient", "Pages", "Control", "Gateway", "Shipping",
        crypto,
      ],
      swiftSettings: strict),
    .executableTarget(
      name: "exitgate",
      dependencies: [
        "Addressing", "Wire", "Policy", "Approvals", "PolicyFile", "Audit", "Review", "EventLoop", "Gateway",
        "Firewall", "Keeper",
        "Control", "CLinux", "Confinement", "Launcher", "ReviewPage", "TLSClient",
        "Shipping", "Webhook", "Pages",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
        logging,
      ],
      swiftSettings: strict, linkerSettings: tight),

    tests("AddressingTests", ["Addressing"]),
    tests("WireTests", ["Wire", "Addressing"]),
    tests("PolicyTests", ["Policy", "Addressing"]),
    tests("ApprovalsTests", ["Approvals", "Policy", "Addressing"]),
    tests("PolicyFileTests", ["PolicyFile", "Policy", "Addressing"]),
    fixtures("LogFixtures", ["Audit", "Policy", "Addressing"]),
    tests("AuditTests", ["Audit", "LogFixtures", "Policy", "Addressing", crypto, systemPackage]),
    tests("ReviewTests", ["Review", "Audit", "LogFixtures", "PolicyFile", "Policy", "Addressing"]),
    tests("PagesTests", ["Pages", "Wire", "Addressing"]),
    tests(
      "ReviewPageTests",
      ["ReviewPage", "Review", "Control", "Audit", "PolicyFile", "Policy", "Addressing"]),
    tests("ShippingTests", ["Shipping", "Audit", "Policy", "Addressing"]),
    tests("WebhookTests", ["Webhook", "Shipping", "Control"]),
    tests("EventLoopTests", ["EventLoop", "Addressing", "CLinux", systemPackage]),
    tests("FirewallTests", ["Firewall", "Addressing", "CNetfilter"]),
    tests("ConfinementTests", ["Confinement", "CLinux", systemPackage]),
    tests("LauncherTests", ["Launcher", "Confinement", systemPackage]),
    tests("KeeperTests", ["Keeper", "Firewall", "Addressing"]),
    tests("ControlTests", ["Control", "Gateway", "EventLoop", "Policy", "Addressing", systemPackage]),
    tests(
      "GatewayTests",
      [
        "Gateway", "Approvals", "Control", "EventLoop", "Pages", "Audit", "PolicyFile", "Policy", "Wire",
        "Addressing", "Firewall", "Keeper",
        crypto,
        logging,
        systemPackage,
      ]),
    tests(
      "CommandTests",
      [
        "exitgate", "Approvals", "Audit", "Control", "Confinement", "EventLoop", "PolicyFile", "Policy",
        "Addressing",
      ]),
    tests("HouseTests", ["exitgate"]),
  ]
)

/// A test target; each may look into what it tests.
func tests(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
  .testTarget(name: name, dependencies: dependencies, swiftSettings: strict)
}

/// What several test targets share.
func fixtures(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
  .target(name: name, dependencies: dependencies, path: "Tests/\(name)", swiftSettings: strict)
}
