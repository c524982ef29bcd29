// Written by scripts/embed-allowlists. Change allowlists/huggingface.yaml instead.

extension BuiltinAllowlists {
  static let huggingface =
    #"""
    version: 1
    about: Reading models and data sets from the Hugging Face Hub. The hosts are those that the Hub itself publishes for firewalls.
    rules:
      - id: huggingface-hub
        action: allow
        to: [huggingface.co]
        reason: the API, git and small files
        source: https://huggingface.co/.well-known/meta.json
      - id: huggingface-lfs
        action: allow
        to: [cdn-lfs.hf.co, cdn-lfs-us-1.hf.co, cdn-lfs-eu-1.hf.co]
        reason: large files kept as LFS objects
        source: https://huggingface.co/.well-known/meta.json
      - id: huggingface-xet
        action: allow
        to: [cas-server.xethub.hf.co, cas-bridge.xethub.hf.co, transfer.xethub.hf.co, transfer.xethub-eu.hf.co]
        reason: large files kept in chunks, and their addresses
        source: https://huggingface.co/docs/hub/xet/index
      # Names, not *.cdn.hf.co: the list is the Hub's own and grows slowly.
      - id: huggingface-cdn
        action: allow
        to:
          - aws.cdn.hf.co
          - us.aws.cdn.hf.co
          - us-east-1.aws.cdn.hf.co
          - us-west-2.aws.cdn.hf.co
          - eu-west-3.aws.cdn.hf.co
          - ap-southeast-1.aws.cdn.hf.co
          - us.gcp.cdn.hf.co
          - us-east1.us.gcp.cdn.hf.co
          - us-central1.us.gcp.cdn.hf.co
          - us-west4.us.gcp.cdn.hf.co
          - europe-west4.us.gcp.cdn.hf.co
          - asia-southeast1.us.gcp.cdn.hf.co
        reason: the regional caches in front of the large files
        source: https://huggingface.co/.well-known/meta.json
    expect:
      - { to: "huggingface.co:443", protocol: https, answer: allow }
      - { to: "cdn-lfs-us-1.hf.co:443", protocol: https, answer: allow }
      - { to: "cas-bridge.xethub.hf.co:443", protocol: https, answer: allow }
      - { to: "us-east-1.aws.cdn.hf.co:443", protocol: https, answer: allow }
      - { to: "evil.hf.space:443", protocol: https, answer: deny }
      - { to: "hf.co:443", protocol: https, answer: deny }
      - { to: "x.cdn.hf.co:443", protocol: https, answer: deny }
      - { to: "huggingface.co:80", protocol: http, answer: deny }
      - { to: "huggingface.co.evil.test:443", protocol: https, answer: deny }

    """#
}
