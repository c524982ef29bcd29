// Written by scripts/embed-allowlists. Change allowlists/npm.yaml instead.

extension BuiltinAllowlists {
  static let npm =
    #"""
    version: 1
    about: The npm registry, for npm, pnpm and Yarn.
    rules:
      - id: npm-registry
        action: allow
        to: [registry.npmjs.org]
        reason: package metadata and tarballs; npm's and pnpm's default registry
        source: https://docs.npmjs.com/cli/v10/using-npm/registry
      - id: yarn-registry
        action: allow
        to: [registry.yarnpkg.com]
        reason: the same registry under the name that Yarn has as its default
        source: https://yarnpkg.com/configuration/yarnrc#npmRegistryServer
    expect:
      - { to: "registry.npmjs.org:443", protocol: https, answer: allow }
      - { to: "registry.yarnpkg.com:443", protocol: https, answer: allow }
      - { to: "registry.npmjs.org:80", protocol: http, answer: deny }
      - { to: "npmjs.org:443", protocol: https, answer: deny }
      - { to: "www.npmjs.com:443", protocol: https, answer: deny }
      - { to: "registry.npmjs.com:443", protocol: https, answer: deny }
      - { to: "registry.npmjs.org.evil.test:443", protocol: https, answer: deny }
      - { to: "registry-npmjs.org:443", protocol: https, answer: deny }

    """#
}
