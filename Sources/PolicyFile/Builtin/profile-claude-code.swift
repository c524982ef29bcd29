// Written by scripts/embed-allowlists. Change allowlists/profile-claude-code.yaml instead.

extension BuiltinAllowlists {
  static let profileClaudeCode =
    #"""
    version: 1
    about: exitgate run's sandbox for Claude Code. Its API and sign-in, its own directory to write, its settings and hooks to read.
    include:
      - builtin:anthropic
      - builtin:development
    files:
      read:
        - ~/.claude/settings.json
        - ~/.claude/hooks
        - ~/.claude/commands
        - ~/.claude/agents
        - ~/.claude/CLAUDE.md
      write:
        - ~/.claude
        - ~/.claude.json
        # It signs in by this file.
        - ~/.claude/.credentials.json
    process:
      env:
        - ANTHROPIC_API_KEY
        - ANTHROPIC_MODEL
        - CLAUDE_CODE_OAUTH_TOKEN
    expect:
      - { to: "api.anthropic.com:443", protocol: https, answer: allow }
      - { to: "registry.npmjs.org:443", protocol: https, answer: allow }
      - { to: "github.com:443", protocol: https, answer: allow }
      - { to: "api.openai.com:443", protocol: https, answer: deny }
      - { to: "statsig.anthropic.com:443", protocol: https, answer: deny }

    """#
}
