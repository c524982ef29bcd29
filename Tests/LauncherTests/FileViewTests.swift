import Testing

@testable import Launcher

@Suite struct FileViewTests {
  static let view: FileView = {
    var view = FileView()
    view.set(.read, at: "/usr")
    view.set(.own, at: "/tmp")
    view.set(.own, at: "/home/a")
    view.set(.hidden, at: "/home/a/.ssh")
    view.set(.write, at: "/home/a/project")
    view.set(.hidden, at: "/home/a/project/.env")
    return view
  }()

  static let cases: [(String, FileView.Access)] = [
    ("/usr", .read), ("/usr/bin/env", .read), ("/usrx", .hidden), ("/", .hidden), ("/etc", .hidden),
    ("/home/a", .own), ("/home/a/.ssh/id", .hidden), ("/home/a/project/x", .write), ("/home/b", .hidden),
    ("/home/a/projects", .own), ("/home/a/project/.env", .hidden),
  ]

  @Test("the nearest path above decides, by whole names", arguments: cases)
  func nearest(_ path: String, _ access: FileView.Access) {
    #expect(Self.view.access(to: path) == access)
  }

  @Test("what is above is put in place first, and nothing that is so already")
  func order() {
    var view = Self.view
    view.set(.read, at: "/usr/share")
    view.set(.hidden, at: "/srv/secret")
    #expect(
      view.entries.map(\.path) == [
        "/tmp", "/usr", "/home/a", "/home/a/.ssh", "/home/a/project", "/home/a/project/.env",
      ])
  }

  @Test("a pinned file can be replaced by nothing above it either")
  func pinned() {
    var view = Self.view
    view.pin("/home/a/project/conf/d/policy.yaml")
    #expect(view.access(to: "/home/a/project/conf/d/policy.yaml") == .read)
    #expect(view.access(to: "/home/a/project/conf/x") == .write)
    #expect(
      view.entries.map(\.path).suffix(3) == [
        "/home/a/project/conf", "/home/a/project/conf/d", "/home/a/project/conf/d/policy.yaml",
      ])
  }

  @Test("who said what is kept, from the top down, and what is kept in place stays whose it was")
  func lineage() {
    var view = FileView()
    view.set(.own, at: "/home/a", by: .home)
    view.set(.write, at: "/home/a/project", by: .workingDirectory)
    view.give(.read, at: "/home/a/project/conf/policy.yaml", by: .policy(key: "read", place: "p.yaml:3"))
    let found = view.lineage(of: "/home/a/project/conf/policy.yaml")
    #expect(found.map(\.access) == [.own, .write, .write, .read])
    #expect(
      found.map(\.origin) == [
        .home, .workingDirectory, .workingDirectory, .policy(key: "read", place: "p.yaml:3"),
      ])
    #expect(view.lineage(of: "/srv").isEmpty)
  }

  static let ownPlaces: [(String, FileView.Access?)] = [
    ("/proc", .own), ("/proc/1/mem", .own), ("/sys/x", .own), ("/dev", .own), ("/dev/null", .own),
    ("/dev/shm/x", .own), ("/dev/kmsg", .hidden), ("/dev/nullx", .hidden), ("/process", nil), ("/", nil),
  ]

  @Test("what the kernel shows is the sandbox's own, and other devices are not there", arguments: ownPlaces)
  func kernels(_ path: String, _ access: FileView.Access?) {
    #expect(FileView.accessToKernels(path) == access)
  }

  static let containments: [(String, String, Bool)] = [
    ("/", "/a", true), ("/a", "/a", true), ("/a", "/a/b", true), ("/a", "/ab", false), ("/a/b", "/a", false),
  ]

  @Test("containment is by whole names", arguments: containments)
  func containment(_ above: String, _ path: String, _ answer: Bool) {
    #expect(FileView.contains(above, path) == answer)
  }
}

@Suite struct EnvironmentTests {
  @Test("what could be a secret is left out unless it is named")
  func filter() {
    let all = [
      "PATH": "/bin", "LC_TIME": "C", "LCX": "1", "TOKEN": "t", "PATHS": "p", "http_proxy": "http://x",
    ]
    let plain = EnvironmentFilter.environment(from: all, naming: ["MISSING"], proxy: nil)
    #expect(plain == ["PATH": "/bin", "LC_TIME": "C"])
    let named = EnvironmentFilter.environment(from: all, naming: ["TOKEN"], proxy: nil)
    #expect(named["TOKEN"] == "t")
  }

  @Test("the proxy's variables are the sandbox's, in both spellings")
  func proxy() {
    let result = EnvironmentFilter.environment(
      from: ["http_proxy": "http://outside"], naming: ["http_proxy"], proxy: "http://127.0.0.1:3128")
    for name in ["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY"] {
      #expect(result[name] == "http://127.0.0.1:3128")
    }
    #expect(result["no_proxy"] == "localhost,127.0.0.1,::1")
  }

  static let searches: [([String], [String: String], [String])] = [
    (["sh"], ["PATH": "/bin:/usr/bin"], ["/bin/sh", "/usr/bin/sh"]),
    (["./sh"], ["PATH": "/bin"], ["./sh"]),
    (["sh"], ["PATH": "/bin:"], ["/bin/sh", "sh"]),
    (["sh"], [:], ["/usr/local/bin/sh", "/usr/bin/sh", "/bin/sh"]),
    ([""], ["PATH": "/bin"], []),
  ]

  @Test("a program is looked for as execvp(3) does", arguments: searches)
  func search(_ arguments: [String], _ environment: [String: String], _ expected: [String]) {
    let plan = CommandPlan(arguments: arguments, environment: environment, directory: "/")
    #expect(plan.candidates == expected)
  }
}

@Suite struct MessageTests {
  static let messages: [SandboxMessage] = [
    .unshared, .mapped, .overtime, .ready(hasIPv6: true, ungrouped: nil),
    .ready(hasIPv6: false, ungrouped: "cannot enter it"), .go, .started,
    .unstartable(2),
    .ended(-1), .ended(255), .signal(15), .refused(SandboxError(.proc, "cannot mount /proc: \0 no")),
  ]

  @Test("a message is read as it was written", arguments: messages)
  func roundTrip(_ message: SandboxMessage) { #expect(SandboxMessage(message.bytes) == message) }

  @Test(
    "what is no message is none",
    arguments: [[], [0], [0x65], [0x65, 1, 2, 3], [0x75, 0], [0x72, 1, 0, 1]])
  func garbage(_ bytes: [UInt8]) { #expect(SandboxMessage(bytes) == nil) }
}

@Suite struct RoutingTests {
  @Test("the requests are those that ip(8) makes")
  func bytes() {
    // ip link set lo up; ip route add local default dev lo src 127.0.0.1 (strace -e sendmsg -x).
    #expect(
      RoutingRequest.linkUp == [
        32, 0, 0, 0, 16, 0, 5, 0, 1, 0, 0, 0, 0, 0, 0, 0,
        0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0,
      ])
    #expect(
      RoutingRequest.everything(isV4: true) == [
        44, 0, 0, 0, 24, 0, 5, 6, 1, 0, 0, 0, 0, 0, 0, 0,
        2, 0, 0, 0, 255, 3, 254, 2, 0, 0, 0, 0, 8, 0, 4, 0, 1, 0, 0, 0, 8, 0, 7, 0, 127, 0, 0, 1,
      ])
    #expect(RoutingRequest.everything(isV4: false).count == 36)
  }

  @Test("each part of the host that may lack says what to do", arguments: SandboxPart.allCases)
  func remedies(_ part: SandboxPart) {
    #expect("\(SandboxError(part, "cannot do it"))".hasPrefix("cannot do it. "))
    #expect(part.mayBeWeaker == "\(SandboxError(part, ""))".contains("--allow-weaker \(part.rawValue)"))
  }
}
