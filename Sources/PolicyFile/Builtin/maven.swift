// Written by scripts/embed-allowlists. Change allowlists/maven.yaml instead.

extension BuiltinAllowlists {
  static let maven =
    #"""
    version: 1
    about: Maven Central for Maven and Gradle, Gradle's distributions and plugin portal, and Google's Maven repository.
    rules:
      - id: maven-central
        action: allow
        to: [repo.maven.apache.org]
        reason: Maven Central under the name that Maven and Gradle have as their default
        source: https://maven.apache.org/guides/introduction/introduction-to-repositories.html
      - id: maven-central-direct
        action: allow
        to: [repo1.maven.org]
        reason: Maven Central under its own name, which many build files spell out
        source: https://central.sonatype.org/consume/consume-maven/
      - id: gradle-plugins
        action: allow
        to: [plugins.gradle.org, plugins-artifacts.gradle.org]
        reason: Gradle's plugin portal, and the host to which it redirects for the files
        source: https://plugins.gradle.org/docs/mirroring
      # Distribution files come by redirects from here to GitHub's release hosts: add builtin:github for those.
      - id: gradle-distributions
        action: allow
        to: [services.gradle.org, downloads.gradle.org]
        reason: the distribution that the Gradle wrapper names
        source: https://docs.gradle.org/current/userguide/gradle_wrapper.html
      - id: google-maven
        action: allow
        to: [maven.google.com, dl.google.com]
        reason: Android libraries; Gradle's google() names dl.google.com, to which maven.google.com redirects
        source: https://developer.android.com/build/dependencies#google-maven
    expect:
      - { to: "repo.maven.apache.org:443", protocol: https, answer: allow }
      - { to: "repo1.maven.org:443", protocol: https, answer: allow }
      - { to: "plugins-artifacts.gradle.org:443", protocol: https, answer: allow }
      - { to: "services.gradle.org:443", protocol: https, answer: allow }
      - { to: "dl.google.com:443", protocol: https, answer: allow }
      - { to: "repo.maven.apache.org:80", protocol: http, answer: deny }
      - { to: "maven.apache.org:443", protocol: https, answer: deny }
      - { to: "google.com:443", protocol: https, answer: deny }
      - { to: "repo.maven.apache.org.evil.test:443", protocol: https, answer: deny }
      - { to: "repo2.maven.org:443", protocol: https, answer: deny }

    """#
}
