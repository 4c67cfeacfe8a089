"""A drill as a graph: a backup onto a spare appliance, proven, compared with the living cluster, and the spare emptied.

The spare is the only node that a drill changes. It is in no cluster.yaml; what it needs to be reached is the first node's.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from urllib.parse import urlsplit

from ctmupgrade.core.model import Cluster, Node, url_of
from ctmupgrade.core.modes import StrategyName
from ctmupgrade.core.plan.plan import Plan
from ctmupgrade.core.plan.restore import steps_onto
from ctmupgrade.core.plan.restore_actions import CompareCounts, ResetSpare
from ctmupgrade.core.plan.restore_choice import RestoreChoice
from ctmupgrade.core.plan.steps import Step, step, step_id
from ctmupgrade.core.timing import QUICK_S, SERVICES_S, clock_time


def spare_only(cluster: Cluster, name: str, host: str) -> Cluster:
    """Return a cluster that is the spare alone, reached as the first node is, at the same ports. A host key that is pinned
    for that node is not the spare's: known_hosts must know it."""
    like = cluster.nodes[0]
    ssh = replace(like.ssh, host_key=None)
    node = Node(name, host, _url(like, host), host, ssh, like.ksctl)
    return replace(cluster, nodes=(node,), fresh=(), strategy=StrategyName.STANDALONE)


def _url(like: Node, host: str) -> str:
    """The spare's control plane: at the port of the node that it is like. With ``through_ssh`` a URL is as a node sees it, and
    one of loopback is each node's own."""
    parts = urlsplit(like.url)
    if like.ksctl.through_ssh and (parts.hostname or "").startswith(("127.", "localhost", "::1")):
        return like.url
    return f"{url_of(host)}:{parts.port}" if parts.port and parts.scheme == "https" else url_of(host)


def drill_steps(choice: RestoreChoice, host: str, members: tuple[str, ...]) -> tuple[Step, ...]:
    """Return the whole graph. :param host: the spare's. :param members: whose counts are compared with."""
    return tuple(_steps(choice, host, members))


def _steps(choice: RestoreChoice, host: str, members: tuple[str, ...]) -> Iterator[Step]:
    spare = choice.first
    yield from steps_onto(choice, ())
    proven = (step_id("prove-restore", spare),)
    text = "how much of the living cluster's data is in the backup"
    yield step(CompareCounts(members), spare, text, QUICK_S, proven)
    text = "the cluster's keys must not stay on a spare"
    yield step(ResetSpare(host), spare, text, SERVICES_S, (step_id("compare-counts", spare),), 0)


def spare_of(plan: Plan) -> tuple[str, str]:
    """Return name and address of the spare of a drill's plan. :raises ValueError: it is no drill's."""
    for one in plan.steps:
        if isinstance(one.action, ResetSpare):
            return one.node, one.action.host
    raise ValueError("no drill")


def drill_notes(choice: RestoreChoice, members: tuple[str, ...], now: datetime) -> Iterator[str]:
    """Yield what a person must know before saying yes."""
    made = choice.manifest
    age = clock_time(max(0, round((now - made.made_at).total_seconds())))
    known = ", ".join(f"{count} {name}" for name, count in sorted(made.counts.items())) or "not written down"
    yield (
        f"backup {made.backup_id}: made by {made.node} on {made.version or 'an unknown release'} at "
        f"{made.made_at:%Y-%m-%d %H:%M %Z}, {age} ago; in it: {known}"
    )
    yield f"nothing of the cluster is changed: {', '.join(members)} are only looked at"
    yield (
        f"while the drill lasts, {choice.first} has the cluster's keys and users: let no client reach it, and do not stop "
        "before it is reset"
    )
    yield "after the restore the spare has the users and passwords of the backup: ksctl.password must be the one of that time"
