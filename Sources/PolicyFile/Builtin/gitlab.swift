// Written by scripts/embed-allowlists. Change allowlists/gitlab.yaml instead.

extension BuiltinAllowlists {
  static let gitlab =
    #"""
    version: 1
    about: GitLab.com over https. Clone and API share one host; the container registry stands apart.
    rules:
      - id: gitlab-clone-and-api
        action: allow
        to: [gitlab.com]
        reason: git clone and fetch over https, the API, and package registries, which all live on this one host
        source: https://docs.gitlab.com/user/gitlab_com/
      - id: gitlab-registry
        action: allow
        to: [registry.gitlab.com]
        reason: manifests of the container registry
        source: https://docs.gitlab.com/user/gitlab_com/#container-registry
      - id: gitlab-registry-blobs
        action: allow
        to: [cdn.registry.gitlab-static.net]
        reason: layers of the container registry, which it answers with a redirect to this host
        source: https://docs.gitlab.com/user/gitlab_com/#container-registry
    expect:
      - { to: "gitlab.com:443", protocol: https, answer: allow }
      - { to: "registry.gitlab.com:443", protocol: https, answer: allow }
      - { to: "cdn.registry.gitlab-static.net:443", protocol: https, answer: allow }
      - { to: "gitlab.com:22", protocol: tcp, answer: deny }
      - { to: "altssh.gitlab.com:443", protocol: https, answer: deny }
      - { to: "evil.gitlab.io:443", protocol: https, answer: deny }
      - { to: "gitlab.com.evil.test:443", protocol: https, answer: deny }
      - { to: "evilgitlab.com:443", protocol: https, answer: deny }

    """#
}
