// Written by scripts/embed-allowlists. Change allowlists/ghcr.yaml instead.

extension BuiltinAllowlists {
  static let ghcr =
    #"""
    version: 1
    about: Pulling images from GitHub's container registry.
    rules:
      - id: ghcr-registry
        action: allow
        to: [ghcr.io]
        reason: tokens and manifests
        source: https://docs.github.com/en/packages/working-with-a-github-packages-registry/working-with-the-container-registry
      - id: ghcr-blobs
        action: allow
        to: [pkg-containers.githubusercontent.com]
        reason: layers, to which the registry redirects
        source: https://docs.github.com/en/actions/reference/runners/self-hosted-runners
    expect:
      - { to: "ghcr.io:443", protocol: https, answer: allow }
      - { to: "pkg-containers.githubusercontent.com:443", protocol: https, answer: allow }
      - { to: "raw.githubusercontent.com:443", protocol: https, answer: deny }
      - { to: "containers.pkg.github.com:443", protocol: https, answer: deny }
      - { to: "ghcr.io:80", protocol: http, answer: deny }
      - { to: "ghcr.io.evil.test:443", protocol: https, answer: deny }
      - { to: "evilghcr.io:443", protocol: https, answer: deny }

    """#
}
