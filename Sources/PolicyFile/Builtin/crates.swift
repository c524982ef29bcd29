// Written by scripts/embed-allowlists. Change allowlists/crates.yaml instead.

extension BuiltinAllowlists {
  static let crates =
    #"""
    version: 1
    about: crates.io for cargo, and the toolchains that rustup installs.
    rules:
      - id: crates-index
        action: allow
        to: [index.crates.io]
        reason: the sparse index, cargo's default since 1.70
        source: https://doc.rust-lang.org/cargo/reference/registry-index.html
      - id: crates-downloads
        action: allow
        to: [static.crates.io]
        reason: the crates themselves
        source: https://crates.io/data-access
      - id: crates-api
        action: allow
        to: [crates.io]
        reason: cargo search and info; also where old lock files' downloads start, with a redirect to static.crates.io
        source: https://doc.rust-lang.org/cargo/reference/registry-web-api.html
      - id: rust-toolchains
        action: allow
        to: [static.rust-lang.org]
        reason: toolchains and components for rustup
        source: https://rust-lang.github.io/rustup/environment-variables.html
    expect:
      - { to: "index.crates.io:443", protocol: https, answer: allow }
      - { to: "static.crates.io:443", protocol: https, answer: allow }
      - { to: "crates.io:443", protocol: https, answer: allow }
      - { to: "static.rust-lang.org:443", protocol: https, answer: allow }
      - { to: "index.crates.io:80", protocol: http, answer: deny }
      - { to: "docs.rs:443", protocol: https, answer: deny }
      - { to: "index.crates.io.evil.test:443", protocol: https, answer: deny }
      - { to: "evilcrates.io:443", protocol: https, answer: deny }

    """#
}
