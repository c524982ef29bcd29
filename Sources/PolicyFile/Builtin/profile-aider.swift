// Written by scripts/embed-allowlists. Change allowlists/profile-aider.yaml instead.

extension BuiltinAllowlists {
  static let profileAider =
    #"""
    version: 1
    about: exitgate run's sandbox for aider. The APIs of the models it speaks to, and its settings to read.
    include:
      - builtin:anthropic
      - builtin:openai
      - builtin:google-ai
      - builtin:development
    files:
      read:
        - ~/.aider.conf.yml
        - ~/.aider.model.settings.yml
      write:
        - ~/.aider
    process:
      env:
        - OPENAI_API_KEY
        - ANTHROPIC_API_KEY
        - GEMINI_API_KEY
    expect:
      - { to: "api.anthropic.com:443", protocol: https, answer: allow }
      - { to: "api.openai.com:443", protocol: https, answer: allow }
      - { to: "github.com:443", protocol: https, answer: allow }
      - { to: "statsig.anthropic.com:443", protocol: https, answer: deny }
      - { to: "example.com:443", protocol: https, answer: deny }

    """#
}
