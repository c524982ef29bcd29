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
    process:
      env:
        - GIT_AUTHOR_NAME
        - GIT_AUTHOR_EMAIL
        - GIT_COMMITTER_NAME
        - GIT_COMMITTER_EMAIL
    expect:
      - { to: "api.anthropic.com:443", protocol: https, answer: allow }
      - { to: "registry.npmjs.org:443", protocol: https, answer: allow }
      - { to: "github.com:443", protocol: https, answer: allow }
      - { to: "statsig.anthropic.com:443", protocol: https, answer: deny }
      - { to: "example.com:443", protocol: https, answer: deny }

    """#
}
