// Written by scripts/embed-allowlists. Change allowlists/anthropic.yaml instead.

extension BuiltinAllowlists {
  static let anthropic =
    #"""
    version: 1
    about: Anthropic's API and what Claude Code needs to sign in, update and run.
    rules:
      - id: anthropic-api
        action: allow
        to: [api.anthropic.com]
        reason: model requests, and Claude Code's account and settings calls
        source: https://docs.claude.com/en/api/overview
      - id: anthropic-sign-in
        action: allow
        to: [claude.ai, platform.claude.com, console.anthropic.com]
        reason: the OAuth exchange by which Claude Code signs in; subscriptions, and console accounts under both of the console's names
        source: https://code.claude.com/docs/en/network-config
      - id: claude-code-download
        action: allow
        to: [downloads.claude.ai]
        reason: the native installer and its updates
        source: https://code.claude.com/docs/en/network-config
    expect:
      - { to: "api.anthropic.com:443", protocol: https, answer: allow }
      - { to: "claude.ai:443", protocol: https, answer: allow }
      - { to: "platform.claude.com:443", protocol: https, answer: allow }
      - { to: "downloads.claude.ai:443", protocol: https, answer: allow }
      - { to: "api.anthropic.com:80", protocol: http, answer: deny }
      - { to: "api.anthropic.com:8443", protocol: https, answer: deny }
      - { to: "anthropic.com:443", protocol: https, answer: deny }
      - { to: "statsig.anthropic.com:443", protocol: https, answer: deny }
      - { to: "api.anthropic.com.evil.test:443", protocol: https, answer: deny }
      - { to: "api-anthropic.com:443", protocol: https, answer: deny }

    """#
}
