// Written by scripts/embed-allowlists. Change allowlists/profile-generic.yaml instead.

extension BuiltinAllowlists {
  static let profileGeneric =
    #"""
    version: 1
    about: exitgate run's sandbox for any agent or build. The starter's hosts, git's settings, and tools in the home directory to read.
    include:
      - builtin:anthropic
      - builtin:openai
      - builtin:google-ai
      - builtin:development
    expect:
      - { to: "api.anthropic.com:443", protocol: https, answer: allow }
      - { to: "registry.npmjs.org:443", protocol: https, answer: allow }
      - { to: "github.com:443", protocol: https, answer: allow }
      - { to: "statsig.anthropic.com:443", protocol: https, answer: deny }
      - { to: "example.com:443", protocol: https, answer: deny }

    """#
}
