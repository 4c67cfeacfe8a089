"""A cluster.yaml of one node that does not answer, for what concerns this machine alone."""

CLUSTER = """
cluster: c
strategy: standalone
target: {{archive: ./a_v2.21.0.tar.gz.gpg, version: 2.21.0, signer: {signer}{keyring}}}
ssh: {{user: ksadmin}}
ksctl: {{command: "false", username: admin, password_env: KSCTL_PASSWORD}}
nodes: [{{name: n1, host: 127.0.0.1, ssh: {{port: 1}}}}]
"""
