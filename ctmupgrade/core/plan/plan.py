"""A plan: the steps, and a digest of the facts that they were made from."""

from __future__ import annotations

import hashlib
import json
import shlex
from collections.abc import Container, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace

from ctmupgrade.core.hops import next_lines
from ctmupgrade.core.ksctl import unverified
from ctmupgrade.core.looks.consensus_port import is_needed
from ctmupgrade.core.looks.facts import Facts, Services, Unknown
from ctmupgrade.core.model import Cluster, Options
from ctmupgrade.core.modes import StrategyName
from ctmupgrade.core.plan.clients import clients_notice
from ctmupgrade.core.plan.estimates import worst_of
from ctmupgrade.core.plan.notes import note, past_notes
from ctmupgrade.core.plan.own_node import own_node_notes
from ctmupgrade.core.plan.rebuild import rebuild_notes, survivor_of, what_is_at_stake
from ctmupgrade.core.plan.steps import CompareSettings, Step
from ctmupgrade.core.plan.strategies import needs_upgrade, node_order, steps_for
from ctmupgrade.core.restorable import backup_fits


@dataclass(frozen=True, slots=True)
class PlanTarget:
    """What the plan leads to."""

    version: str
    archive: str
    sha256: str
    signer: str
    size: int = 0


@dataclass(frozen=True, slots=True)
class Plan:
    """:param basis: the facts it depends on, by name; ``run --plan`` refuses when one has changed.
    :param id: the digest of all that decides what is done: the basis, the steps, the options, the target.
    :param notes: what the reader must know: what users will notice, what is left behind."""

    id: str
    cluster: str
    strategy: StrategyName
    target: PlanTarget
    steps: tuple[Step, ...]
    basis: Mapping[str, str]
    options: Options = field(default_factory=Options)
    notes: tuple[str, ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict)
    without_data: tuple[str, ...] = ()  # nodes that cannot be relied on to hold the data: recover knows some
    given_up: tuple[
        str, ...
    ] = ()  # nodes that a person let be erased although they have more than the one they join
    past_notes: tuple[str, ...] = ()  # the notes as a report says them once all is done
    clients: Mapping[str, str] = field(default_factory=dict)  # what clients notice, by node; "": of all of it

    @property
    def nodes(self) -> tuple[str, ...]:
        """Return names of the nodes it touches, in order."""
        return tuple(dict.fromkeys(step.node for step in self.steps if step.node))

    def step(self, step_id: str) -> Step:
        """Return the step of that id. :raises KeyError: there is none."""
        for step in self.steps:
            if step.id == step_id:
                return step
        raise KeyError(step_id)

    def work_on(self, node: str) -> tuple[Step, ...]:
        """Return a node's own steps but the comparison with before, which runs beside the next node's gate: a stop after the
        node must not wait for it."""
        own = (step for step in self.steps if step.node == node)
        return tuple(step for step in own if not isinstance(step.action, CompareSettings))

    def critical_path_s(self, of: Container[str] | None = None, *, worst: bool = False) -> int:
        """Return seconds of the longest chain of steps.

        :param of: ids of the steps that count; None: all. :param worst: by what each takes at worst.
        """
        ends: dict[str, int] = {}
        for step in self.steps:
            own = (worst_of(step) if worst else step.estimate_s) if of is None or step.id in of else 0
            ends[step.id] = own + max((ends[a] for a in step.after), default=0)
        return max(ends.values(), default=0)


def basis_of(facts: Facts, cluster: Cluster) -> dict[str, str]:
    """Return the facts a plan stands on, by name, in words that do not change with time alone."""
    basis = {"strategy": cluster.strategy.value, "target": str(cluster.target.version)}
    basis["signer"] = cluster.target.signer
    if not isinstance(facts.archive, Unknown):
        basis["archive sha256"] = facts.archive.sha256
    for name, node in facts.nodes.items():
        version, members = node.version, node.members
        basis[f"{name}: version"] = "?" if isinstance(version, Unknown) else str(version)
        basis[f"{name}: cluster id"] = node.node_id
        basis[f"{name}: boot"] = "?" if isinstance(node.boot, Unknown) else node.boot.boot_id
        if not isinstance(node.services, Unknown) and (bad := _in_error(node.services)):
            basis[f"{name}{IN_ERROR}"] = bad
        if not isinstance(members, Unknown):
            states = sorted(f"{m.host}={m.code}" for m in members)
            basis[f"{name}: members"] = ", ".join(states)
    return basis


IN_ERROR = ": services in error"


def _in_error(services: Services) -> str:
    return ", ".join(sorted(n for n, state in services.by_name.items() if state == "error"))


def services_in_error(basis: Mapping[str, str], name: str) -> tuple[str, ...]:
    """Return the services of a node that were in error when the plan was made."""
    return tuple(one for one in basis.get(f"{name}{IN_ERROR}", "").split(", ") if one)


def _notes(facts: Facts, cluster: Cluster, options: Options, steps: tuple[Step, ...]) -> Iterator[str]:
    target = cluster.target.version.short
    order = node_order(cluster, options)
    for name in order:
        if not needs_upgrade(facts, cluster, name):
            yield note(
                f"{name} is skipped: it is at {target} already",
                f"{name} was skipped: it was at {target} already",
            )
    left = [n.name for n in cluster.nodes if n.name not in order and needs_upgrade(facts, cluster, n.name)]
    if left:
        yield (
            f"not upgraded in this run: {', '.join(left)}; a cluster of mixed versions may misbehave, "
            "so upgrade them as soon as possible"
        )
    if steps and cluster.strategy is StrategyName.IN_PLACE:
        yield note(
            "during the upgrade of the first node the database is locked for up to 30 s: all nodes may answer with errors",
            "during the upgrade of the first node the database was locked for up to 30 s: all nodes may have answered with errors",
        )
        yield note(
            "each node is out of service for 10 minutes or more; clients must use the other nodes during that time",
            "each node was out of service while it was upgraded; clients had to use the other nodes during that time",
        )
    if steps and cluster.strategy is StrategyName.REBUILD:
        yield from what_is_at_stake(cluster, survivor_of(facts, cluster, options)[0], options)
        yield from rebuild_notes(facts, cluster, options)
    if steps:
        yield from (f"{', '.join(names)}: {one.why}" for one, names in unverified(cluster).items())
        yield from _port_notes(facts, cluster)
        yield from _backup_notes(facts, cluster)
        yield from own_node_notes(cluster, steps)
    yield from _hook_notes(cluster, steps)
    yield from _next_hops(cluster, steps)
    if steps and cluster.strategy is StrategyName.STANDALONE:
        yield note(
            "the appliance is out of service for 10 minutes or more; nothing else serves its clients during that time",
            "the appliance was out of service while it was upgraded; nothing else served its clients during that time",
        )


def _hook_notes(cluster: Cluster, steps: tuple[Step, ...]) -> Iterator[str]:
    """Which programs of the operator's a live run will start on this machine."""
    for name in ("before_run", "before_node", "after_node", "after_run"):
        if steps and (argv := cluster.hooks.argv(name)):
            where = f"on this machine (not in a simulation): {shlex.join(argv)}"
            yield note(f"hook {name} runs {where}", f"hook {name} ran {where}")


def _next_hops(cluster: Cluster, steps: tuple[Step, ...]) -> Iterator[str]:
    """What follows after this hop, for who goes on: each is a plan and an archive of its own."""
    target = cluster.target.version
    lines = next_lines(target) if not target.beta else ()
    if steps and lines:
        yield (
            f"after this hop, the next ones are {', '.join(lines)}, in place one at a time: "
            f"ctmupgrade path {target.short} {lines[-1]}.0"
        )


def _port_notes(facts: Facts, cluster: Cluster) -> Iterator[str]:
    """A port that the target needs among the nodes and the releases before it did not (docs/appliance.md 2)."""
    versions = [f.version for f in facts.nodes.values() if not isinstance(f.version, Unknown)]
    standalone = cluster.strategy is StrategyName.STANDALONE
    if not standalone and is_needed(cluster.target.version) and not all(is_needed(v) for v in versions):
        need = "from 2.22 on the nodes need TCP 2380 between each other, in both directions, as well as 5432"
        yield note(f"{need}: open it in every firewall between them before the upgrade", need)


def _backup_notes(facts: Facts, cluster: Cluster) -> Iterator[str]:
    """Whether what is backed up now can be restored on the target: forward only, and not for ever (docs/appliance.md 3)."""
    target = cluster.target.version
    known = {f.version.release: f.version for f in facts.nodes.values() if not isinstance(f.version, Unknown)}
    for version in (known[release] for release in sorted(known) if release < target.release):
        if not backup_fits(version, target):
            yield (
                f"a backup of {version.short} cannot be restored on {target.short} (only up to three minor versions later, or "
                f"from LTS to the next two LTS): to go back you need an appliance on {version.short}"
            )
        elif cluster.strategy is StrategyName.REBUILD:
            yield f"a backup of {version.short} can be restored on {version.short} and on {target.short}, never on an older version"


def make_plan(facts: Facts, cluster: Cluster, options: Options) -> Plan:
    """Return the plan for these facts. Same facts, same plan, same id."""
    steps = steps_for(facts, cluster, options)
    return plan_of(steps, facts, cluster, options, tuple(_notes(facts, cluster, options, steps)))


def plan_of(
    steps: tuple[Step, ...], facts: Facts, cluster: Cluster, options: Options, notes: tuple[str, ...]
) -> Plan:
    """Return a plan of given steps: strategies and recovery make theirs through this."""
    archive = facts.archive
    target = PlanTarget(
        str(cluster.target.version),
        cluster.target.archive.name,
        "" if isinstance(archive, Unknown) else archive.sha256,
        cluster.target.signer,
        0 if isinstance(archive, Unknown) else archive.size,
    )
    fresh = {n: "" if isinstance(f.version, Unknown) else str(f.version) for n, f in facts.fresh.items()}
    versions = {n: "" if isinstance(f.version, Unknown) else str(f.version) for n, f in facts.nodes.items()}
    made = Plan(
        "",
        cluster.name,
        cluster.strategy,
        target,
        steps,
        basis_of(facts, cluster),
        options,
        tuple(map(str, notes)),
        {**versions, **fresh},
        tuple(fresh),
        past_notes=past_notes(notes),
        clients=clients_notice(steps, facts, cluster),
    )
    return replace(made, id=digest_of(made))


def digest_of(plan: Plan) -> str:
    """Return the digest of all that decides what a plan does; its prose and its estimates are not in it."""
    steps = [[s.id, s.node, asdict(s.action), list(s.after), s.holders] for s in plan.steps]
    parts = [plan.cluster, plan.strategy.value, asdict(plan.target), dict(plan.basis), asdict(plan.options)]
    given_up = [list(plan.given_up)] if plan.given_up else []  # a plan of before gave up none
    text = json.dumps(
        [*parts, steps, dict(plan.versions), list(plan.without_data), *given_up], sort_keys=True
    )
    return hashlib.sha256(text.encode()).hexdigest()[:16]
