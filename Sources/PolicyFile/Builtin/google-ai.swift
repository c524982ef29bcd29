// Written by scripts/embed-allowlists. Change allowlists/google-ai.yaml instead.

extension BuiltinAllowlists {
  static let googleAi =
    #"""
    version: 1
    about: Google's Gemini API, Vertex AI's global endpoint, and what the Gemini command line needs to sign in.
    rules:
      - id: gemini-api
        action: allow
        to: [generativelanguage.googleapis.com]
        reason: model requests with an API key
        source: https://ai.google.dev/api
      - id: gemini-code-assist
        action: allow
        to: [cloudcode-pa.googleapis.com]
        reason: model requests of the Gemini command line when it is signed in with a Google account
        source: https://developers.google.com/gemini-code-assist/docs/configure-network-options
      - id: google-oauth
        action: allow
        to: [oauth2.googleapis.com, accounts.google.com]
        reason: sign-in and the renewal of access tokens
        source: https://developers.google.com/identity/protocols/oauth2
      # The regional endpoints (REGION-aiplatform.googleapis.com) are names of their own, not labels below one name: add yours.
      - id: vertex-ai-global
        action: allow
        to: [aiplatform.googleapis.com]
        reason: model requests to Vertex AI's global endpoint
        source: https://cloud.google.com/vertex-ai/docs/reference/rest
    expect:
      - { to: "generativelanguage.googleapis.com:443", protocol: https, answer: allow }
      - { to: "cloudcode-pa.googleapis.com:443", protocol: https, answer: allow }
      - { to: "oauth2.googleapis.com:443", protocol: https, answer: allow }
      - { to: "aiplatform.googleapis.com:443", protocol: https, answer: allow }
      - { to: "storage.googleapis.com:443", protocol: https, answer: deny }
      - { to: "googleapis.com:443", protocol: https, answer: deny }
      - { to: "us-central1-aiplatform.googleapis.com:443", protocol: https, answer: deny }
      - { to: "generativelanguage.googleapis.com:80", protocol: http, answer: deny }
      - { to: "generativelanguage.googleapis.com.evil.test:443", protocol: https, answer: deny }

    """#
}
