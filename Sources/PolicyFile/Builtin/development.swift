// Written by scripts/embed-allowlists. Change allowlists/development.yaml instead.

extension BuiltinAllowlists {
  static let development =
    #"""
    version: 1
    about: What the profiles of exitgate run share. Code hosts and package registries, git's settings, and tools in the home directory to read.
    include:
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
      - { to: "registry.npmjs.org:443", protocol: https, answer: allow }
      - { to: "github.com:443", protocol: https, answer: allow }
      - { to: "api.anthropic.com:443", protocol: https, answer: deny }
      - { to: "statsig.anthropic.com:443", protocol: https, answer: deny }
      - { to: "example.com:443", protocol: https, answer: deny }

    """#
}
