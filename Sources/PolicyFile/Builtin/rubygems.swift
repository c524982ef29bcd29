// Written by scripts/embed-allowlists. Change allowlists/rubygems.yaml instead.

extension BuiltinAllowlists {
  static let rubygems =
    #"""
    version: 1
    about: rubygems.org for gem and Bundler.
    rules:
      - id: rubygems
        action: allow
        to: [rubygems.org]
        reason: gems and the compact index; the default source of gem and Bundler
        source: https://guides.rubygems.org/rubygems-org-compact-index-api/
      - id: rubygems-index
        action: allow
        to: [index.rubygems.org]
        reason: the compact index under the name that Bundler tries first
        source: https://guides.rubygems.org/rubygems-org-compact-index-api/
    expect:
      - { to: "rubygems.org:443", protocol: https, answer: allow }
      - { to: "index.rubygems.org:443", protocol: https, answer: allow }
      - { to: "rubygems.org:80", protocol: http, answer: deny }
      - { to: "gems.rubygems.org:443", protocol: https, answer: deny }
      - { to: "rubygems.org.evil.test:443", protocol: https, answer: deny }
      - { to: "evilrubygems.org:443", protocol: https, answer: deny }

    """#
}
