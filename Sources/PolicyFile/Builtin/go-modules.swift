// Written by scripts/embed-allowlists. Change allowlists/go-modules.yaml instead.

extension BuiltinAllowlists {
  static let goModules =
    #"""
    version: 1
    about: Go's module mirror and checksum database; toolchains come from the mirror too.
    rules:
      - id: go-module-proxy
        action: allow
        to: [proxy.golang.org]
        reason: modules and toolchains; the go command's default GOPROXY
        source: https://go.dev/ref/mod#environment-variables
      - id: go-checksum-database
        action: allow
        to: [sum.golang.org]
        reason: the go command's default GOSUMDB, which proves that a module is what others got
        source: https://go.dev/ref/mod#checksum-database
    expect:
      - { to: "proxy.golang.org:443", protocol: https, answer: allow }
      - { to: "sum.golang.org:443", protocol: https, answer: allow }
      - { to: "proxy.golang.org:80", protocol: http, answer: deny }
      - { to: "golang.org:443", protocol: https, answer: deny }
      - { to: "storage.googleapis.com:443", protocol: https, answer: deny }
      - { to: "xproxy.golang.org:443", protocol: https, answer: deny }
      - { to: "proxy.golang.org.evil.test:443", protocol: https, answer: deny }

    """#
}
