// Written by scripts/embed-allowlists. Change allowlists/*.yaml instead.

extension BuiltinAllowlists {
  static let texts: [String: String] = [
    "alpine": alpine,
    "anthropic": anthropic,
    "crates": crates,
    "development": development,
    "docker-hub": dockerHub,
    "ghcr": ghcr,
    "github": github,
    "gitlab": gitlab,
    "go-modules": goModules,
    "google-ai": googleAi,
    "huggingface": huggingface,
    "maven": maven,
    "npm": npm,
    "openai": openai,
    "profile-aider": profileAider,
    "profile-claude-code": profileClaudeCode,
    "profile-codex": profileCodex,
    "profile-gemini-cli": profileGeminiCli,
    "profile-generic": profileGeneric,
    "rubygems": rubygems,
    "starter": starter,
    "telemetry": telemetry,
    "ubuntu": ubuntu,
  ]
}
