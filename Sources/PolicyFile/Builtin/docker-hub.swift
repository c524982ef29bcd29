// Written by scripts/embed-allowlists. Change allowlists/docker-hub.yaml instead.

extension BuiltinAllowlists {
  static let dockerHub =
    #"""
    version: 1
    about: Pulling images from Docker Hub.
    rules:
      - id: docker-hub-auth
        action: allow
        to: [auth.docker.io]
        reason: the token that every pull needs, anonymous ones too
        source: https://docs.docker.com/desktop/setup/allow-list/
      - id: docker-hub-registry
        action: allow
        to: [registry-1.docker.io]
        reason: manifests
        source: https://docs.docker.com/desktop/setup/allow-list/
      - id: docker-hub-blobs
        action: allow
        to:
          - production.cloudflare.docker.com
          - docker-images-prod.6aa30f8b08e16409b46e0173d6de2f56.r2.cloudflarestorage.com
        reason: layers, to which the registry redirects; which of the two depends on the account's plan
        source: https://docs.docker.com/desktop/setup/allow-list/
    expect:
      - { to: "auth.docker.io:443", protocol: https, answer: allow }
      - { to: "registry-1.docker.io:443", protocol: https, answer: allow }
      - { to: "production.cloudflare.docker.com:443", protocol: https, answer: allow }
      - { to: "docker-images-prod.6aa30f8b08e16409b46e0173d6de2f56.r2.cloudflarestorage.com:443", protocol: https, answer: allow }
      - { to: "evil.r2.cloudflarestorage.com:443", protocol: https, answer: deny }
      - { to: "hub.docker.com:443", protocol: https, answer: deny }
      - { to: "docker.io:443", protocol: https, answer: deny }
      - { to: "registry-1.docker.io:5000", protocol: https, answer: deny }
      - { to: "registry-1.docker.io.evil.test:443", protocol: https, answer: deny }

    """#
}
