// Written by scripts/embed-allowlists. Change allowlists/profile-codex.yaml instead.

extension BuiltinAllowlists {
  static let profileCodex =
    #"""
    version: 1
    about: exitgate run's sandbox for OpenAI's Codex. Its API and sign-in, its own directory to write, its settings to read.
    include:
      - builtin:openai
      - builtin:github
      - builtin:gitlab
      - builtin:npm
      - builtin:crates
      - builtin:go-modules
      - builtin:maven
      - builtin:rubygems
      - builtin:telemetry
      - system:apt
      - system:pip
    files:
      read:
        - ~/.gitconfig
        - ~/.config/git
        # What git runs for you outside later is not the agent's to write.
        - .git/hooks
        - ~/.codex/config.toml
        - ~/.codex/AGENTS.md
        # The agent itself and its runtime, where a person installed them.
        - ~/.local/bin
        - ~/.local/share
        - ~/.npm-global
        - ~/.nvm
        - ~/.pyenv
        - ~/.cargo
        - ~/.rustup
        - ~/.bun
        - ~/.volta
      write:
        - ~/.codex
        # It signs in by this file.
        - ~/.codex/auth.json
    process:
      env:
        - GIT_AUTHOR_NAME
        - GIT_AUTHOR_EMAIL
        - GIT_COMMITTER_NAME
        - GIT_COMMITTER_EMAIL
        - OPENAI_API_KEY
    expect:
      - { to: "api.openai.com:443", protocol: https, answer: allow }
      - { to: "registry.npmjs.org:443", protocol: https, answer: allow }
      - { to: "github.com:443", protocol: https, answer: allow }
      - { to: "api.anthropic.com:443", protocol: https, answer: deny }
      - { to: "statsig.anthropic.com:443", protocol: https, answer: deny }

    """#
}
