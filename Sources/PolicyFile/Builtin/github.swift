// Written by scripts/embed-allowlists. Change allowlists/github.yaml instead.

extension BuiltinAllowlists {
  static let github =
    #"""
    version: 1
    about: GitHub over https. Clone, archives and releases apart from the API, so that a policy can take one without the other.
    rules:
      # Inside TLS a fetch and a push look alike: what keeps this to reading is that the agent holds no credentials.
      - id: github-clone
        action: allow
        to: [github.com]
        reason: git clone and fetch over https
        source: https://docs.github.com/en/get-started/git-basics/about-remote-repositories
      - id: github-archives
        action: allow
        to: [codeload.github.com]
        reason: source archives, which github.com answers with a redirect to this host
        source: https://docs.github.com/en/actions/reference/runners/self-hosted-runners
      - id: github-raw
        action: allow
        to: [raw.githubusercontent.com]
        reason: single files at a commit
        source: https://docs.github.com/en/rest/repos/contents
      - id: github-releases
        action: allow
        to: [objects.githubusercontent.com, release-assets.githubusercontent.com]
        reason: release assets, which github.com answers with a redirect to one of these hosts
        source: https://docs.github.com/en/actions/reference/runners/self-hosted-runners
      - id: github-lfs
        action: allow
        to: [github-cloud.githubusercontent.com, github-cloud.s3.amazonaws.com]
        reason: objects of Git Large File Storage
        source: https://docs.github.com/en/actions/reference/runners/self-hosted-runners
      - id: github-api
        action: allow
        to: [api.github.com]
        reason: the REST and GraphQL API, which also writes when the agent holds a token
        source: https://docs.github.com/en/rest/using-the-rest-api/getting-started-with-the-rest-api
    expect:
      - { to: "github.com:443", protocol: https, answer: allow }
      - { to: "codeload.github.com:443", protocol: https, answer: allow }
      - { to: "api.github.com:443", protocol: https, answer: allow }
      - { to: "release-assets.githubusercontent.com:443", protocol: https, answer: allow }
      - { to: "github-cloud.s3.amazonaws.com:443", protocol: https, answer: allow }
      - { to: "github.com:22", protocol: tcp, answer: deny }
      - { to: "github.com:80", protocol: http, answer: deny }
      - { to: "gist.github.com:443", protocol: https, answer: deny }
      - { to: "uploads.github.com:443", protocol: https, answer: deny }
      - { to: "evil.github.io:443", protocol: https, answer: deny }
      - { to: "evilgithub.com:443", protocol: https, answer: deny }
      - { to: "github.com.evil.test:443", protocol: https, answer: deny }
      - { to: "evil.s3.amazonaws.com:443", protocol: https, answer: deny }

    """#
}
