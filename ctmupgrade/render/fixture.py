"""A cluster as the cluster.yaml of a fixture: what a check needs, without key files, users or passwords."""

from __future__ import annotations

import json

from ctmupgrade.core.model import Cluster


def cluster_yaml(cluster: Cluster) -> str:
    """Return the file's text. JSON strings are YAML strings, so names with colons are safe."""
    lines = [
        "# Recorded by ctmupgrade record.",
        f"cluster: {cluster.name}",
        f"strategy: {cluster.strategy.value}",
        "target:",
        f"  archive: {json.dumps('./' + cluster.target.archive.name)}",
        f"  version: {json.dumps(str(cluster.target.version))}",
        f"  signer: {json.dumps(cluster.target.signer)}",
        "backup:",
        "  key_password_env: CTM_BACKUP_KEY_PASSWORD",
        "nodes:",
    ]
    for node in cluster.nodes:
        lines += [
            f"  - name: {node.name}",
            f"    host: {json.dumps(node.host)}",
            f"    url: {json.dumps(node.url)}",
            f"    cluster_host: {json.dumps(node.cluster_host)}",
            f"    port: {node.ssh.port}",
        ]
    return "\n".join(lines) + "\n"
