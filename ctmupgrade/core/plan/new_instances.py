"""New instances in place of old nodes: ``run --fresh NAME=HOST`` of a rebuild.

The old node is removed like the others and keeps its old data; the new instance, already on the target's
version, joins in its place (vendor page: "Join new instances to the cluster").
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from ctmupgrade.core.model import Cluster, Node, url_of


def fresh_name(name: str) -> str:
    """Return what the new instance is called in the plan and the report; cluster.yaml's name is the old one's."""
    return f"{name}-new"


def with_fresh(cluster: Cluster, pairs: tuple[tuple[str, str], ...]) -> Cluster:
    """Return the cluster with its new instances: reached like the old ones, at their own hosts. A host key pinned for
    the old one is not theirs: known_hosts must know them."""
    made = []
    for name, host in pairs:
        old = cluster.node(name)
        made.append(
            Node(fresh_name(name), host, url_of(host), host, replace(old.ssh, host_key=None), old.ksctl)
        )
    return replace(cluster, fresh=tuple(made))


def fresh_problems(
    cluster: Cluster, pairs: tuple[tuple[str, str], ...], apart: tuple[str, ...]
) -> Iterator[str]:
    """Yield what is wrong with the pairs themselves. ``apart``: the survivor and the node held back."""
    names = [node.name for node in cluster.nodes]
    hosts = {node.host for node in cluster.nodes} | {node.cluster_host for node in cluster.nodes}
    for name, host in pairs:
        if name not in names:
            yield f"{name}: no such node in cluster.yaml"
        elif name in apart:
            yield f"{name} is the survivor or held back, so it cannot be replaced"
        elif host in hosts or [h for _, h in pairs].count(host) > 1:
            yield f"{host} is another node's address already"
        elif [n for n, _ in pairs].count(name) > 1:
            yield f"{name} is replaced twice"
