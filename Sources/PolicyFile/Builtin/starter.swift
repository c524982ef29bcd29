// Written by scripts/embed-allowlists. Change allowlists/starter.yaml instead.

extension BuiltinAllowlists {
  static let starter =
    #"""
    version: 1
    about: A coding agent's everyday set. The model, source code, package registries, and this machine's own package sources; telemetry is denied by name.
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
      # What this machine is set up to use, mirrors and private indexes with it. The
      # remotes of the working directory (system:git) are not among them: an agent
      # can write there, so naming that list is for the person who runs the gate.
      - system:apt
      - system:pip
    expect:
      - { to: "api.anthropic.com:443", protocol: https, answer: allow }
      - { to: "api.openai.com:443", protocol: https, answer: allow }
      - { to: "generativelanguage.googleapis.com:443", protocol: https, answer: allow }
      - { to: "github.com:443", protocol: https, answer: allow }
      - { to: "registry.npmjs.org:443", protocol: https, answer: allow }
      - { to: "static.crates.io:443", protocol: https, answer: allow }
      - { to: "proxy.golang.org:443", protocol: https, answer: allow }
      - { to: "repo.maven.apache.org:443", protocol: https, answer: allow }
      - { to: "rubygems.org:443", protocol: https, answer: allow }
      - { to: "statsig.anthropic.com:443", protocol: https, answer: deny }
      - { to: "registry-1.docker.io:443", protocol: https, answer: deny }
      - { to: "huggingface.co:443", protocol: https, answer: deny }
      - { to: "evil.github.io:443", protocol: https, answer: deny }
      - { to: "169.254.169.254:80", protocol: http, answer: deny }

    """#
}
