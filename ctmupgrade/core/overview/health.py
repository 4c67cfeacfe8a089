"""How well a cluster is as far as its run has proven it: who serves, who is away, when all were last seen ready."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from ctmupgrade.core.plan import restore_actions
from ctmupgrade.core.plan.steps import (
    AwaitNode,
    Gate,
    JoinNode,
    NewCluster,
    RestoreSettings,
    Settle,
    in_service,
)
from ctmupgrade.core.run.journal import RunState, Status
from ctmupgrade.core.run.seen_versions import version_after


@dataclass(frozen=True, slots=True)
class ClusterHealth:
    """What the journal has proven.

    :ivar away: nodes that were taken out of service and are not proven to be back.
    :ivar ready_at: when a step last saw all nodes ready and connected; None: none did yet.
    :ivar versions: the nodes of each version that was seen; "" is not known.
    """

    nodes: tuple[str, ...] = ()
    away: tuple[str, ...] = ()
    ready_at: datetime | None = None
    versions: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def health_of(state: RunState) -> ClusterHealth:
    """Return how well the run's cluster is."""
    names = tuple(state.plan.versions)
    versions: dict[str, tuple[str, ...]] = {}
    for name in names:
        version = version_after(state, name)
        versions[version] = (*versions.get(version, ()), name)
    seen = [
        held.finished
        for step in state.plan.steps
        if isinstance(step.action, Gate | Settle)
        and (held := state.steps[step.id]).status is Status.DONE
        and held.finished is not None
        and "operator" not in held.evidence
    ]
    away = tuple(name for name in names if _is_away(state, name))
    return ClusterHealth(names, away, max(seen, default=None), versions)


def _is_away(state: RunState, name: str) -> bool:
    """Whether something took it out of service after which nothing has proven that it is back; or a look that had proven it was made
    again, and failed, whatever came between."""
    away, failed = False, False
    for step in state.plan.steps:
        if step.node != name:
            continue
        held = state.steps[step.id]
        action, begun = step.action, held.started is not None
        if isinstance(action, AwaitNode | Settle | JoinNode | restore_actions.Proof):
            away = (away or (begun and isinstance(action, JoinNode))) and held.status is not Status.DONE
            failed = failed or held.status in (Status.FAILED, Status.INCONCLUSIVE)
        elif begun and not in_service(action) and not isinstance(action, NewCluster | RestoreSettings):
            away = True
    return away or failed
