// Written by scripts/embed-allowlists. Change allowlists/profile-codex.yaml instead.

extension BuiltinAllowlists {
  static let profileCodex =
    #"""
    version: 1
    about: exitgate run's sandbox for OpenAI's Codex. Its API and sign-in, its own directory to write, its settings to read.
    include:
      - builtin:openai
      - builtin:development
    files:
      read:
        - ~/.codex/config.toml
        - ~/.codex/AGENTS.md
      write:
        - ~/.codex
        # It signs in by this file.
        - ~/.codex/auth.json
    process:
      env:
        - OPENAI_API_KEY
    expect:
      - { to: "api.openai.com:443", protocol: https, answer: allow }
      - { to: "registry.npmjs.org:443", protocol: https, answer: allow }
      - { to: "github.com:443", protocol: https, answer: allow }
      - { to: "api.anthropic.com:443", protocol: https, answer: deny }
      - { to: "statsig.anthropic.com:443", protocol: https, answer: deny }

    """#
}
