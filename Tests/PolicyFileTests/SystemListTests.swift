import Addressing
import Foundation
import Glibc
import Policy
import PolicyFile
import Testing

/// Lists that are read from the machine's own configuration; the machine is a directory.
@Suite struct SystemListTests {
  let machine = TemporaryDirectory()

  private func yaml(_ name: String, _ environment: [String: String] = [:], in directory: String = "/project")
    throws -> String
  {
    try #require(
      SystemLists.yaml(
        named: name, environment: ["HOME": "/home/dev"].merging(environment) { $1 },
        workingDirectory: directory,
        root: machine.path("")))
  }

  /// `protocol host port`, with a `+` where private ranges are opened, of each rule; the list must load.
  private func rules(_ name: String, _ environment: [String: String] = [:], in directory: String = "/project")
    throws -> [String]
  {
    let text = try yaml(name, environment, in: directory)
    let policy = try loader().load(text: text, named: name).policy
    return policy.rules.map { rule in
      "\(rule.traffic) \(rule.to[0]) \(rule.ports[0])\(rule.allowPrivate ? " +" : "")"
    }
  }

  @Test("apt: one-line and deb822 sources, http and https, ports, options; other methods are noted")
  func apt() throws {
    try machine.write(
      "etc/apt/sources.list",
      """
      # deb http://commented.example/ x main
      deb http://mirror.example/distribution stable main # trailing
      deb [arch=amd64 signed-by=/usr/share/keyrings/a.gpg] https://mirror.example:8443/x stable main
      deb-src   http://mirror.example/distribution stable main
      deb cdrom:[Disc 1]/ stable main
      deb mirror+https://list.example/mirrors stable main
      deb file:/srv/packages ./
      """)
    try machine.write(
      "etc/apt/sources.list.d/a.sources",
      """
      Types: deb
      URIs: http://one.example/x
        https://two.example/y
      # a comment
      Suites: stable

      Types: deb
      Enabled: no
      URIs: http://off.example/
      """)
    try machine.write(
      "etc/apt/sources.list.d/b.sources.disabled", "Types: deb\nURIs: http://never.example/\n")
    try machine.write(
      "etc/apt/sources.list.d/c.list", "deb http://10.9.8.7/x ./\ndeb http://%41.example/ ./\n")
    #expect(
      try rules("apt") == [
        "http mirror.example 80 +", "https mirror.example 8443 +", "http 10.9.8.7/32 80 +",
        "http one.example 80 +",
        "https two.example 443 +",
      ])
    let text = try yaml("apt")
    for note in ["'cdrom:'", "'mirror+https:'", "'file:'", "'http://%41.example/'"] {
      #expect(text.contains("# \(note) in"))
    }
    #expect(text.contains("reason: \"packages for apt, from /etc/apt/sources.list\""))
  }

  @Test("pip: configuration and environment")
  func pip() throws {
    try machine.write("etc/pip.conf", "[global]\nindex-url = https://user:secret@index.example/simple\n")
    try machine.write(
      "home/dev/.config/pip/pip.conf",
      "[install]\nextra-index-url =\n    https://extra.example/simple\n    http://extra.example:8080/simple\nfind-links = /srv/wheels\n[list]\nindex-url = https://other.example/\n"
    )
    let environment = [
      "PIP_EXTRA_INDEX_URL": "https://env.example/simple http://localhost:3141/simple",
      "PIP_CONFIG_FILE": "/opt/pip.conf",
    ]
    try machine.write("opt/pip.conf", "[global]\nfind_links = https://links.example/ wheels\n")
    #expect(
      try rules("pip", environment) == [
        "https index.example 443 +", "https extra.example 443 +", "http extra.example 8080 +",
        "https links.example 443 +", "https env.example 443 +",
      ])
    let text = try yaml("pip", environment)
    #expect(!text.contains("secret"))
    #expect(
      text.contains("# localhost:3141 in the environment (PIP_EXTRA_INDEX_URL) is this machine itself."))
    #expect(try rules("pip", ["PIP_CONFIG_FILE": "/dev/null", "PIP_NO_INDEX": "1"]).isEmpty)
  }

  private let index = """
    class PackageIndex:
        def __init__(self, url: str, file_storage_domain: str) -> None:
            self.simple_url = self._url_for_path("simple")

    Main = PackageIndex("https://index.example/", file_storage_domain="files.example")
    Test = PackageIndex(
        "https://test.index.example/", file_storage_domain="test-files.example"
    )
    """

  @Test(
    "pip: without an index of its own, what the installed pip names, wherever Python has it",
    arguments: [
      "usr/lib/python3/dist-packages", "usr/lib/python3.11/site-packages",
      "usr/local/lib/python3.13/site-packages",
      "home/dev/.pyenv/versions/3.12.1/lib/python3.12/site-packages",
      "opt/python/lib/python3.12/site-packages",
    ])
  func pipDefault(_ directory: String) throws {
    try machine.write("\(directory)/pip/_internal/models/index.py", index)
    try machine.write("opt/python/bin/python3", "")
    let environment = ["PATH": "/bin:/opt/python/bin"]
    #expect(try rules("pip", environment) == ["https index.example 443", "https files.example 443"])
    #expect(try yaml("pip", environment).contains("from /\(directory)/pip/_internal/models/index.py"))
    try machine.write("etc/pip.conf", "[global]\nindex-url = https://mirror.example/simple\n")
    #expect(try rules("pip", environment) == ["https mirror.example 443 +"])
  }

  @Test("npm: user, global, project and scoped registries, environment, and the installed default")
  func npm() throws {
    try machine.write(
      "usr/lib/node_modules/npm/node_modules/@npmcli/config/lib/definitions/definitions.js",
      "  registry: new Definition('registry', {\n    default: 'https://default.example/',\n    type: url,\n")
    try machine.write("usr/lib/node_modules/npm/package.json", "{}")
    #expect(try rules("npm") == ["https default.example 443"])
    try machine.write(
      "home/dev/.npmrc",
      "@team:registry=https://team.example/npm\n//team.example/:_authToken=${TOKEN}\n; comment\n")
    #expect(try rules("npm") == ["https team.example 443 +", "https default.example 443"])
    try machine.write("project/.npmrc", "registry = \"http://${WHERE}:4873/\"\n")
    #expect(try rules("npm", ["WHERE": "10.1.2.3"]) == ["https team.example 443 +", "http 10.1.2.3/32 4873"])
    #expect(
      try rules("npm", ["npm_config_registry": "https://env.example"]).contains("https env.example 443 +"))
    #expect(try !yaml("npm", ["TOKEN": "secret"]).contains("secret"))
  }

  @Test("cargo: source replacement, registries, sparse and git, the directories above")
  func cargo() throws {
    try machine.write(
      "home/dev/.cargo/config.toml",
      """
      [source.crates-io]
      replace-with = "mirror"
      [source.mirror]
      registry = "sparse+https://mirror.example/index/" # the mirror
      [registries.own]
      index = 'ssh://git@git.example/index.git'
      [source.local]
      directory = "/srv/crates"
      [net]
      registry = "https://no.example"
      """)
    try machine.write(
      "project/.cargo/config.toml", "[registries.near]\nindex = \"https://near.example:8443/index\"\n")
    #expect(
      try rules(
        "cargo", ["CARGO_REGISTRIES_CI_INDEX": "sparse+https://ci.example/"], in: "/project/deep/down") == [
          "https mirror.example 443 +", "tcp git.example 22 +", "https near.example 8443",
          "https ci.example 443 +",
        ])
  }

  @Test("go: environment before the user's file before the installed defaults")
  func go() throws {
    try machine.write("usr/local/go/go.env", "GOPROXY=https://default.example,direct\nGOSUMDB=sum.example\n")
    #expect(try rules("go") == ["https default.example 443", "https sum.example 443"])
    #expect(
      try yaml("go").contains(
        "# 'direct' in /usr/local/go/go.env fetches from the host that each module names."))
    try machine.write("home/dev/.config/go/env", "GOPROXY=https://proxy.example/go|off\nGOSUMDB=off\n")
    #expect(try rules("go") == ["https proxy.example 443 +"])
    let environment = [
      "GOPROXY": "http://env.example:8080", "GOSUMDB": "sum.example+1234+key https://sums.example/db",
    ]
    #expect(try rules("go", environment) == ["http env.example 8080 +", "https sums.example 443 +"])
  }

  @Test(
    "git: remotes of the repository around the working directory, in every form; nothing opens a private range"
  )
  func git() throws {
    try machine.write(
      "project/.git/config",
      """
      [core]
      \tbare = false
      [remote "origin"]
      \turl = https://token@code.example/team/app.git
      \tpushurl = git@code.example:team/app.git
      \tfetch = +refs/heads/*:refs/remotes/origin/*
      [remote "port"]
      \turl = ssh://git@10.0.0.5:2222/app.git
      [remote "plain"]
      \turl = git://old.example/app.git
      [remote "near"]
      \turl = ../other.git
      [remote "disk"]
      \turl = /srv/app.git
      """)
    let expected = [
      "https code.example 443", "tcp code.example 22", "tcp 10.0.0.5/32 2222", "tcp old.example 9418",
    ]
    #expect(try rules("git", in: "/project/sources/deep") == expected)
    #expect(try !yaml("git").contains("token"))
    try machine.write("worktree/.git", "gitdir: /project/.git/worktrees/w\n")
    try machine.write("project/.git/worktrees/w/commondir", "../..\n")
    #expect(try rules("git", in: "/worktree") == expected)
  }

  @Test("CTL-15: a repository with a million bytes of remotes costs neither time nor the policy")
  func manyRemotes() throws {
    let remotes = (0..<20_000).map { "[remote \"r\($0)\"]\n url = https://h\($0).example/x\n" }.joined()
    try machine.write("project/.git/config", remotes)
    #expect(try rules("git").count == 256)
    #expect(try yaml("git").contains("# only the first 256 sources count."))
  }

  @Test(
    "an empty machine gives no rule and says so, and the policy loads all the same",
    arguments: SystemLists.names)
  func nothing(_ name: String) throws {
    #expect(try rules(name).isEmpty)
    let loaded = try loader(root: machine.path("")).load(
      text: "version: 1\ninclude: [system:\(name)]\n", named: "p")
    #expect(loaded.policy.rules.isEmpty)
    #expect(loaded.warnings.count { $0.cause.hasPrefix("system:\(name): ") } == 1)
    #expect(loaded.sources.last?.name == "system:\(name)")
  }

  @Test(
    "SBX-12: nothing counts that lies where an agent may write, leads there, or is a link that lies there")
  func distrusted() throws {
    let index =
      "DEFAULT = PackageIndex(\"https://left.example/\", file_storage_domain=\"files.left.example\")\nPyPI = DEFAULT\n"
    try machine.write("project/venv/lib/python3.11/site-packages/pip/_internal/models/index.py", index)
    try machine.write("project/left.conf", "[global]\nindex-url = https://left.example/simple\n")
    try machine.write("home/dev/.npmrc", "registry=https://mine.example/\n")
    try machine.write("home/dev/own.conf", "[global]\nindex-url = https://mine.example/simple\n")
    try machine.write("home/dev/.pip/place", "")
    let root = machine.path("")
    symlink("\(root)/project/left.conf", "\(root)/home/dev/.pip/pip.conf")
    symlink("\(root)/home/dev/.npmrc", "\(root)/project/.npmrc")
    let environment = ["HOME": "/home/dev", "VIRTUAL_ENV": "/project/venv", "PATH": "/project/venv/bin"]
    func hosts(_ names: String, distrusting: [String], _ more: [String: String] = [:]) throws -> Set<String> {
      let loader = PolicyLoader(
        runMode: .serve, environment: environment.merging(more) { $1 }, workingDirectory: "/project",
        now: testNow,
        root: root, distrusting: distrusting)
      let loaded = try loader.load(text: "version: 1\ninclude: [\(names)]\n", named: "p")
      return Set(loaded.policy.rules.map { "\($0.to[0])" })
    }
    let project = URL(filePath: machine.path("project")).resolvingSymlinksInPath().path()
    #expect(try hosts("system:pip", distrusting: []) == ["left.example"])
    #expect(try hosts("system:pip", distrusting: [project]) == [])
    #expect(
      try hosts("system:pip", distrusting: [project], ["PIP_CONFIG_FILE": "/home/dev/own.conf"]) == [
        "mine.example"
      ])
    // What the home says counts, and not by the project's link.
    #expect(try hosts("system:npm", distrusting: [project]).contains("mine.example"))
    unlink("\(root)/home/dev/.npmrc")
    try machine.write("home/dev/elsewhere", "registry=https://mine.example/\n")
    unlink("\(root)/project/.npmrc")
    symlink("\(root)/home/dev/elsewhere", "\(root)/project/.npmrc")
    #expect(try hosts("system:npm", distrusting: []).contains("mine.example"))
    #expect(try hosts("system:npm", distrusting: [project]).contains("mine.example") == false)
    // The control: a directory whose name only begins like it.
    #expect(try hosts("system:npm", distrusting: [project + "s"]).contains("mine.example"))
  }

  @Test("POL-29: hostile configuration gives validated hosts or nothing, and never a line of YAML")
  func hostile() throws {
    let path = "etc/apt/sources.list.d/x\"\n  - id: evil.list"
    try machine.write(path, "deb http://fine.example/ ./\n")
    try machine.write(
      "etc/apt/sources.list",
      "deb http://a.example\u{85}x/ ./\ndeb http://x\"]\u{2028}/ ./\ndeb http://[::1/ ./\ndeb http:// ./\ndeb http://a.example:99999/ ./\n"
    )
    #expect(try rules("apt") == ["http fine.example 80 +"])
  }

  @Test("a configuration that everybody may write, or that is no plain file, is left out with a note")
  func unsafeFiles() throws {
    try machine.write("etc/pip.conf", "[global]\nindex-url = https://evil.example/\n")
    #expect(chmod(machine.path("etc/pip.conf"), 0o666) == 0)
    #expect(mkfifo(machine.path("fifo"), 0o600) == 0)
    #expect(try rules("pip", ["PIP_CONFIG_FILE": "/fifo"]).isEmpty)
    let text = try yaml("pip", ["PIP_CONFIG_FILE": "/fifo"])
    #expect(text.contains("# '/etc/pip.conf' is left out: everybody may write"))
    #expect(text.contains("# '/fifo' is left out:"))
  }

  @Test("included, the rules carry the list's name, and the source tells the files")
  func included() throws {
    try machine.write("etc/pip.conf", "[global]\nindex-url = https://mirror.example/simple\n")
    let loaded = try loader(root: machine.path("")).load(
      text: "version: 1\ninclude: [system:pip]\n", named: "p")
    #expect(loaded.policy.rules.map(\.id.text) == ["system:pip/https-mirror.example-443"])
    #expect(loaded.sources.last == nil || loaded.sources.last?.detail == "from /etc/pip.conf")
    let destination = try Destination(.name(Hostname("mirror.example")), .https, .https)
    #expect(loaded.policy.decide(destination, agent: .default, floor: Floor(), at: testNow).answer == .allow)
  }
}
