"""A cluster as the cluster.yaml of a fixture: what a check needs, without key files, users or passwords."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import fields
from datetime import timedelta

from ctmupgrade.core.model import Cluster, Timeouts
from ctmupgrade.core.redact import hidden


def cluster_yaml(cluster: Cluster) -> str:
    """Return the file's text. JSON strings are YAML strings, so names with colons are safe."""
    lines = [
        "# Recorded by ctmupgrade record.",
        f"cluster: {json.dumps(cluster.name)}",
        f"strategy: {cluster.strategy.value}",
        "target:",
        f"  archive: {json.dumps('./' + cluster.target.archive.name)}",
        f"  version: {json.dumps(str(cluster.target.version))}",
        f"  signer: {json.dumps(cluster.target.signer)}",
        "backup:",
        *(["  key_password_env: CTM_BACKUP_KEY_PASSWORD"] if cluster.backup.key_password_env else ()),
        f"  max_age: {_duration(cluster.backup.max_age)}",
        f"  proven_within: {_duration(cluster.backup.proven_within)}",
        *_settings(cluster),
        "nodes:",
    ]
    for node in cluster.nodes:
        lines += [
            f"  - name: {json.dumps(node.name)}",
            f"    host: {json.dumps(node.host)}",
            f"    url: {json.dumps(node.url)}",
            f"    cluster_host: {json.dumps(node.cluster_host)}",
            f"    port: {node.ssh.port}",
        ]
    return "\n".join(lines) + "\n"


def _settings(cluster: Cluster) -> Iterator[str]:
    """What decides how a run waits, and what it must keep to. Programs of the operator's are none of a fixture."""
    yield f"poll: {_duration(cluster.poll)}"
    yield f"stable_for: {_duration(cluster.stable_for)}"
    yield "timeouts:"
    yield from (f"  {one.name}: {_duration(getattr(cluster.timeouts, one.name))}" for one in fields(Timeouts))
    ends = (("start", cluster.window.start), ("finish_by", cluster.window.finish_by))
    if any(at for _, at in ends):
        yield "window:"
        yield from (f"  {name}: {at.isoformat()}" for name, at in ends if at)
    own = {check.name for check in cluster.own_checks}
    skips = [skip for skip in cluster.skips if skip.check not in own]
    if skips:
        yield "checks:"
        yield "  skip:"
    for skip in skips:
        reason = json.dumps(hidden(skip.reason))
        yield f"    - {{check: {skip.check}, reason: {reason}, until: {skip.until.isoformat()}}}"


def _duration(span: timedelta) -> str:
    seconds = span.total_seconds()
    for size, unit in ((3600, "h"), (60, "m")):
        if seconds and seconds % size == 0:
            return f"{seconds // size:.0f}{unit}"
    return f"{seconds:f}".rstrip("0").rstrip(".") + "s"
