"""What a node's dict leaves out, and which worlds there cannot be."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from ctmupgrade.core.version import Version
from ctmupgrade.sim.state import HOME, SERVICES, File, SimArchive, SimNode

MAX_NODES = 20
SERVICE_STATES = ("started", "starting", "disabled", "error")
PROBLEMS = ("none", "wrong_signer", "unsigned", "tampered", "truncated", "expired", "revoked", "encrypted")


def node_id_of(name: str, count: int = 1) -> str:
    """Return the id that a node gets with its n-th membership."""
    return hashlib.md5(f"{name} membership {count}".encode(), usedforsecurity=False).hexdigest()


def finish_node(
    node: SimNode, index: int, *, clustered: bool, archive: SimArchive, has_data: bool = False
) -> None:
    """Fill in what was left out. ``has_data``: its dict says which data it holds, be it none."""
    node.host = node.host or f"10.0.0.{11 + index}"
    node.cluster_host = node.cluster_host or node.host
    node.public_address = node.public_address or node.cluster_host
    node.system_name = node.system_name or node.name
    if clustered:
        node.cluster = "main"
    if node.cluster and not node.node_id:
        node.node_id = node_id_of(node.name)
    if not has_data:
        node.data = f"data-{node.cluster}" if node.cluster else f"data-{node.name}"
    if not node.services:
        node.services = {**dict.fromkeys(SERVICES, "started"), "secrets-manager": "disabled"}
    if node.archive_present and f"{HOME}/{archive.name}" not in node.files:
        node.files[f"{HOME}/{archive.name}"] = File(archive.size, "archive")
        node.archive_present = False  # said by the file from here on


def refuse_impossible(value: Mapping[str, Any]) -> None:
    """Refuse a world that cannot be. :raises ValueError: with the place."""
    nodes = value.get("nodes")
    if not isinstance(nodes, list) or not nodes:
        raise ValueError("nodes: a list of at least one node is expected")
    if len(nodes) > MAX_NODES:
        raise ValueError(f"nodes: {len(nodes)} nodes; a cluster has at most {MAX_NODES}")
    problem = value.get("archive", {}).get("problem", "none")
    if problem not in PROBLEMS:
        raise ValueError(f"archive.problem: {problem!r} is none of {', '.join(PROBLEMS)}")
    for key in ("name", "host", "node_id", "cluster_host"):
        _refuse_twins(nodes, key)
    clustered = bool(value.get("clustered", len(nodes) > 1))
    for index, node in enumerate(nodes):
        _refuse_node(node, f"nodes[{index}] ({node.get('name', '?')})", clustered=clustered)


def _refuse_twins(nodes: list[Mapping[str, Any]], key: str) -> None:
    seen: dict[str, int] = {}
    for index, node in enumerate(nodes):
        own = node.get(key)
        if own and own in seen:
            raise ValueError(f"nodes[{index}].{key}: {own!r} is nodes[{seen[own]}]'s already")
        if own:
            seen[own] = index


def _refuse_node(node: Mapping[str, Any], place: str, *, clustered: bool) -> None:
    if not node.get("name"):
        raise ValueError(f"{place}.name: every node needs one")
    if not clustered and node.get("node_id") and not node.get("cluster"):
        raise ValueError(f"{place}.node_id: a node that is not clustered has none")
    try:
        if node.get("version") != "Development":  # a version need not be a number (docs/appliance.md 2)
            Version.parse(str(node.get("version", "2.20.0+15016")))
    except ValueError as error:
        raise ValueError(f"{place}.version: {error}") from None
    for name, state in (node.get("services") or {}).items():
        if state not in SERVICE_STATES:
            raise ValueError(f"{place}.services.{name}: {state!r} is none of {', '.join(SERVICE_STATES)}")
    if float(node.get("free_gib", 60)) > float(node.get("total_gib", 100)):
        raise ValueError(f"{place}.free_gib: more than total_gib")
