"""What a run began in, kept with its first event: its window, what its checks found, where its nodes were,
and what a person said of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from ctmupgrade.core.checks.findings import Finding, Verdict
from ctmupgrade.core.model import Cluster, Window
from ctmupgrade.core.run.operator_input import OperatorInput


@dataclass(frozen=True, slots=True)
class Checked:
    """What one check found that did not simply pass.

    :ivar verdict: a Verdict. :ivar nodes: all of which it is so; none: it concerns the whole cluster.
    """

    check: str
    verdict: str
    nodes: tuple[str, ...]
    summary: str


@dataclass(frozen=True, slots=True)
class Address:
    """Where a node was reached when the run began, as cluster.yaml said."""

    node: str
    host: str
    port: int
    url: str
    cluster_host: str


@dataclass(frozen=True, slots=True)
class Surroundings:
    """As in this module's first line.

    :ivar passed: how many findings were a pass. :ivar told: all others, the same of several nodes once.
    :ivar addresses: one a node; none in journals of earlier versions.
    :ivar known: what a person said of the cluster when a recovery began.
    """

    window: Window = field(default_factory=Window)
    passed: int = 0
    told: tuple[Checked, ...] = ()
    addresses: tuple[Address, ...] = ()
    known: OperatorInput = field(default_factory=OperatorInput)


def addresses_of(cluster: Cluster) -> tuple[Address, ...]:
    """Return where cluster.yaml says that the nodes are."""
    return tuple(Address(n.name, n.host, n.ssh.port, n.url, n.cluster_host) for n in cluster.nodes)


def surroundings_of(cluster: Cluster, findings: Iterable[Finding], known: OperatorInput) -> Surroundings:
    """Return what a run's first event keeps of its cluster and of its checks."""
    passed = 0
    told: dict[tuple[str, str, str], list[str]] = {}
    for one in findings:
        if one.verdict is Verdict.PASS:
            passed += 1
        else:
            told.setdefault((one.check, one.verdict.value, one.summary), []).append(one.node)
    return Surroundings(
        cluster.window,
        passed,
        tuple(
            Checked(check, verdict, tuple(node for node in nodes if node), summary)
            for (check, verdict, summary), nodes in told.items()
        ),
        addresses_of(cluster),
        known,
    )
