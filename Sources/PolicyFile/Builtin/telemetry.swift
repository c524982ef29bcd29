// Written by scripts/embed-allowlists. Change allowlists/telemetry.yaml instead.

extension BuiltinAllowlists {
  static let telemetry =
    #"""
    version: 1
    about: Where tools report usage and crashes. Denied by name, so that a wider allow rule does not let them through and the log says why.
    # Wildcards, since each customer of these services gets a name of its own under them.
    rules:
      - id: telemetry-claude-code
        action: deny
        to: [statsig.anthropic.com]
        reason: usage metrics of Claude Code; set CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC=1 to stop the attempts
        source: https://code.claude.com/docs/en/data-usage
      - id: telemetry-statsig
        action: deny
        to: ["**.statsig.com", "**.statsigapi.net", "**.statsigcdn.com", "**.featuregates.org", "**.featureassets.org",
          "**.prodregistryv2.org"]
        reason: feature flags and product analytics
        source: https://docs.statsig.com/infrastructure/statsig_domains
      - id: telemetry-sentry
        action: deny
        to: ["**.sentry.io"]
        reason: crash reports
        source: https://docs.sentry.io/security-legal-pii/security/ip-ranges/
      - id: telemetry-datadog
        action: deny
        to: ["**.datadoghq.com", "**.datadoghq.eu", "**.browser-intake-datadoghq.com"]
        reason: logs, traces and metrics
        source: https://docs.datadoghq.com/agent/configuration/network/
      - id: telemetry-segment
        action: deny
        to: [api.segment.io, cdn.segment.com, api.segment.com]
        reason: product analytics
        source: https://segment.com/docs/connections/sources/catalog/libraries/server/http-api/
      - id: telemetry-posthog
        action: deny
        to: ["**.posthog.com"]
        reason: product analytics
        source: https://posthog.com/docs/advanced/proxy
      - id: telemetry-amplitude
        action: deny
        to: ["**.amplitude.com"]
        reason: product analytics
        source: https://amplitude.com/docs/apis/analytics/http-v2
      - id: telemetry-mixpanel
        action: deny
        to: ["**.mixpanel.com"]
        reason: product analytics
        source: https://developer.mixpanel.com/reference/ingestion-api
      - id: telemetry-google-analytics
        action: deny
        to: ["**.google-analytics.com", www.googletagmanager.com]
        reason: product analytics
        source: https://developers.google.com/tag-platform/security/guides/csp
      - id: telemetry-google-clearcut
        action: deny
        to: [play.googleapis.com]
        reason: usage statistics of the Gemini command line and of other Google tools
        source: https://google-gemini.github.io/gemini-cli/docs/tos-privacy.html
      - id: telemetry-bugsnag
        action: deny
        to: [notify.bugsnag.com, sessions.bugsnag.com]
        reason: crash reports
        source: https://docs.bugsnag.com/platforms/javascript/faq/
      - id: telemetry-visual-studio
        action: deny
        to: [vortex.data.microsoft.com, mobile.events.data.microsoft.com, dc.services.visualstudio.com]
        reason: usage data of .NET tools and Visual Studio Code
        source: https://code.visualstudio.com/docs/setup/network
      - id: telemetry-nextjs
        action: deny
        to: [telemetry.nextjs.org, telemetry.vercel.com]
        reason: usage data of Next.js and of Vercel's tools
        source: https://nextjs.org/telemetry
      - id: telemetry-gradle
        action: deny
        to: [scans-in.gradle.com]
        reason: build scans, which hold the environment of the build
        source: https://docs.gradle.org/current/userguide/inspect.html
    expect:
      - { to: "statsig.anthropic.com:443", protocol: https, answer: deny }
      - { to: "featuregates.org:443", protocol: https, answer: deny }
      - { to: "o1.ingest.us.sentry.io:443", protocol: https, answer: deny }
      - { to: "sentry.io:443", protocol: https, answer: deny }
      - { to: "http-intake.logs.datadoghq.com:443", protocol: https, answer: deny }
      - { to: "us.i.posthog.com:443", protocol: https, answer: deny }
      - { to: "www.google-analytics.com:443", protocol: https, answer: deny }
      - { to: "notify.bugsnag.com:443", protocol: https, answer: deny }

    """#
}
