// Written by scripts/embed-allowlists. Change allowlists/ubuntu.yaml instead.

extension BuiltinAllowlists {
  static let ubuntu =
    #"""
    version: 1
    about: Ubuntu's own package archives. apt checks signatures, so its plain http is kept. A machine's own mirrors come from system:apt.
    rules:
      - id: ubuntu-archive
        action: allow
        to: [archive.ubuntu.com, security.ubuntu.com, ports.ubuntu.com]
        protocol: http
        ports: [80]
        http: [{ methods: [GET, HEAD], path: "/**" }]
        reason: packages and security updates; ports.ubuntu.com is the archive of arm64, riscv64 and the other ports
        source: https://documentation.ubuntu.com/project/how-ubuntu-is-made/concepts/package-archive/
      - id: ubuntu-archive-tls
        action: allow
        to: [archive.ubuntu.com, security.ubuntu.com, ports.ubuntu.com]
        reason: the same for machines whose sources name https
        source: https://documentation.ubuntu.com/project/how-ubuntu-is-made/concepts/package-archive/
      - id: ubuntu-changelogs
        action: allow
        to: [changelogs.ubuntu.com]
        reason: the list of releases, read by the release upgrader
        source: https://documentation.ubuntu.com/server/how-to/software/upgrade-your-release/
    expect:
      - { to: "archive.ubuntu.com:443", protocol: https, answer: allow }
      - { to: "security.ubuntu.com:443", protocol: https, answer: allow }
      - { to: "changelogs.ubuntu.com:443", protocol: https, answer: allow }
      - { to: "ppa.launchpadcontent.net:443", protocol: https, answer: deny }
      - { to: "keyserver.ubuntu.com:443", protocol: https, answer: deny }
      - { to: "ubuntu.com:443", protocol: https, answer: deny }
      - { to: "archive.ubuntu.com:8080", protocol: http, answer: deny }
      - { to: "archive.ubuntu.com.evil.test:443", protocol: https, answer: deny }

    """#
}
