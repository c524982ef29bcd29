// Written by scripts/embed-allowlists. Change allowlists/profile-gemini-cli.yaml instead.

extension BuiltinAllowlists {
  static let profileGeminiCli =
    #"""
    version: 1
    about: exitgate run's sandbox for Gemini CLI. Its API, its own directory to write, its settings to read.
    include:
      - builtin:google-ai
      - builtin:development
    files:
      read:
        - ~/.gemini/settings.json
        - ~/.gemini/GEMINI.md
      write:
        - ~/.gemini
    process:
      env:
        - GEMINI_API_KEY
        - GOOGLE_API_KEY
        - GOOGLE_CLOUD_PROJECT
    expect:
      - { to: "generativelanguage.googleapis.com:443", protocol: https, answer: allow }
      - { to: "registry.npmjs.org:443", protocol: https, answer: allow }
      - { to: "github.com:443", protocol: https, answer: allow }
      - { to: "api.anthropic.com:443", protocol: https, answer: deny }
      - { to: "statsig.anthropic.com:443", protocol: https, answer: deny }

    """#
}
