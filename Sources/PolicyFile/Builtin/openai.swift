// Written by scripts/embed-allowlists. Change allowlists/openai.yaml instead.

extension BuiltinAllowlists {
  static let openai =
    #"""
    version: 1
    about: OpenAI's API, and what the Codex command line needs to sign in with a ChatGPT account.
    rules:
      - id: openai-api
        action: allow
        to: [api.openai.com]
        reason: model requests with an API key
        source: https://platform.openai.com/docs/api-reference/introduction
      - id: openai-sign-in
        action: allow
        to: [auth.openai.com]
        reason: the OAuth exchange by which Codex signs in and renews its token
        source: https://developers.openai.com/codex/auth
      - id: openai-codex-backend
        action: allow
        to: [chatgpt.com]
        reason: model requests of Codex when it is signed in with a ChatGPT account
        source: https://developers.openai.com/codex/auth
    expect:
      - { to: "api.openai.com:443", protocol: https, answer: allow }
      - { to: "auth.openai.com:443", protocol: https, answer: allow }
      - { to: "chatgpt.com:443", protocol: https, answer: allow }
      - { to: "openai.com:443", protocol: https, answer: deny }
      - { to: "files.oaiusercontent.com:443", protocol: https, answer: deny }
      - { to: "api.openai.com:80", protocol: http, answer: deny }
      - { to: "api.openai.com.evil.test:443", protocol: https, answer: deny }
      - { to: "xapi.openai.com:443", protocol: https, answer: deny }

    """#
}
