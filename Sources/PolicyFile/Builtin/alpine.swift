// Written by scripts/embed-allowlists. Change allowlists/alpine.yaml instead.

extension BuiltinAllowlists {
  static let alpine =
    #"""
    version: 1
    about: Alpine Linux's package repositories for apk.
    rules:
      - id: alpine-packages
        action: allow
        to: [dl-cdn.alpinelinux.org]
        reason: packages; the host in the images' own /etc/apk/repositories
        source: https://wiki.alpinelinux.org/wiki/Repositories
      - id: alpine-packages-http
        action: allow
        to: [dl-cdn.alpinelinux.org]
        protocol: http
        ports: [80]
        http: [{ methods: [GET, HEAD], path: "/alpine/**" }]
        reason: the same for images that name http; apk checks signatures
        source: https://wiki.alpinelinux.org/wiki/Repositories
    expect:
      - { to: "dl-cdn.alpinelinux.org:443", protocol: https, answer: allow }
      - { to: "dl-cdn.alpinelinux.org:8443", protocol: https, answer: deny }
      - { to: "dl-2.alpinelinux.org:443", protocol: https, answer: deny }
      - { to: "alpinelinux.org:443", protocol: https, answer: deny }
      - { to: "dl-cdn.alpinelinux.org.evil.test:443", protocol: https, answer: deny }

    """#
}
