"""What the command line asks for, held against cluster.yaml before any node is asked.

An option that would do nothing is refused, not ignored: who types ``--hold-back ctm-3`` counts on a living copy.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace
from datetime import datetime

from ctmupgrade.commands.own_node import own_node_last, own_node_survives
from ctmupgrade.commands.request import Purpose
from ctmupgrade.config.addresses import host
from ctmupgrade.core.model import Cluster, Options
from ctmupgrade.core.modes import StrategyName
from ctmupgrade.core.near import nearest
from ctmupgrade.core.plan.new_instances import fresh_problems, with_fresh
from ctmupgrade.core.plan.plan import Plan
from ctmupgrade.core.tested_paths import documents_force
from ctmupgrade.errors import UsageError

_REBUILD_ONLY = (
    "survivor", "keep_copies", "reset_before_join", "hold_back", "fresh", "shared_hsm_partition",
)  # fmt: skip


def with_options(cluster: Cluster, options: Options, purpose: Purpose, file: str) -> Cluster:
    """Return the cluster with what the options add to it.

    :param file: cluster.yaml's name, for complaints.
    :raises UsageError: names that it lacks, or options that cannot be kept or would do nothing.
    """
    known = {node.name for node in cluster.nodes}
    named = [*options.order, *options.nodes, options.survivor, options.hold_back]
    unknown = sorted({name for name in named if name} - known)
    if unknown:
        raise UsageError(
            f"{', '.join(unknown)}: no such node in {file}", remedy=nodes_known(unknown[0], known)
        )
    twice = sorted({name for name in options.order if options.order.count(name) > 1})
    if twice:
        raise UsageError(f"--order: {', '.join(twice)} appears twice", remedy="name each node once")
    if purpose is not Purpose.RECOVER:  # recover names its survivor whatever the strategy was
        _of_its_strategy(cluster, options)
    if purpose is Purpose.PLAN:
        whole(cluster.strategy, known, options.nodes)
    own_node_last(cluster, options)
    if purpose is not Purpose.RECOVER and cluster.strategy is StrategyName.REBUILD:
        own_node_survives(cluster, options)
    _sensible(cluster, options)
    return _with_fresh(cluster, options)


def with_skips(options: Options, cluster: Cluster, now: datetime) -> Options:
    """Return the options with the checks that cluster.yaml skips now; what the command line says of one wins."""
    file = {
        s.check: f"{s.reason} (until {s.until:%Y-%m-%d %H:%M %Z})" for s in cluster.skips if now < s.until
    }
    return replace(options, skips=tuple({**file, **dict(options.skips)}.items()))


def known_node(name: str, known: Collection[str], option: str) -> None:
    """Refuse an unknown node: what waits for it would wait for ever. :raises UsageError: no node of the run has that name."""
    if name and name not in known:
        raise UsageError(f"{option} {name}: the run has no such node", remedy=nodes_known(name, known))


def stops_somewhere(name: str, plan: Plan) -> None:
    """Refuse to stop after a node that the plan leaves as it is: the run would go on to the end.

    :raises UsageError: no step of the plan is the node's own.
    """
    at_work = {step.node for step in plan.steps if step.node and plan.work_on(step.node)}
    if name and plan.steps and name not in at_work:
        raise UsageError(
            f"--stop-after {name}: the plan has nothing to do on it",
            remedy=f"leave it out, or name one of these: {', '.join(sorted(at_work))}",
        )


def nodes_known(name: str, known: Collection[str]) -> str:
    """Return which node was probably meant by a name that is none, and which there are."""
    near = nearest(name, known)
    return f"{f'did you mean {near}? ' if near else ''}it has: {', '.join(sorted(known))}"


def whole(strategy: StrategyName, known: Collection[str], nodes: Collection[str]) -> None:
    """Refuse a rebuild of some nodes: it would leave the others outside of the new cluster, as copies that age.

    :raises UsageError: it is asked for.
    """
    left = sorted(set(known) - set(nodes))
    if strategy is StrategyName.REBUILD and nodes and left:
        raise UsageError(
            f"--nodes leaves out {', '.join(left)}: a rebuild removes every node and takes the whole cluster",
            remedy="leave --nodes out; --hold-back NODE keeps one node apart, --stop-after NODE pauses behind one",
        )


def _of_its_strategy(cluster: Cluster, options: Options) -> None:
    for option, strategy in _foreign(cluster.strategy, options):
        raise UsageError(
            f"{option} is for the {strategy.value} strategy; the strategy of {cluster.name} is {cluster.strategy.value}",
            remedy=f"remove {option}, or: --strategy {strategy.value}",
        )
    target = cluster.target.version
    if options.force_path and not documents_force(target):
        raise UsageError(
            f"--force-path: no vendor page documents -o on a path to {target.short}, so it would not be passed on",
            remedy="remove --force-path; ctmupgrade check   # says whether the path is known",
        )


def _foreign(strategy: StrategyName, options: Options) -> Iterator[tuple[str, StrategyName]]:
    """Options that only another strategy's plan reads, and which."""
    usual = Options()
    if strategy is not StrategyName.REBUILD:
        for name in _REBUILD_ONLY:
            if getattr(options, name) != getattr(usual, name):
                yield f"--{name.replace('_', '-')}", StrategyName.REBUILD
    if strategy is not StrategyName.STANDALONE and options.allow_downgrade:
        yield "--allow-downgrade", StrategyName.STANDALONE


def _sensible(cluster: Cluster, options: Options) -> None:
    """:raises UsageError: options of a rebuild that cannot be kept, found before anything is removed."""
    if options.survivor and options.survivor == options.hold_back:
        raise UsageError(f"{options.survivor} cannot be both the survivor and held back")
    apart = {options.survivor, options.hold_back, *dict(options.fresh)}
    erased = len([node for node in cluster.nodes if node.name not in apart]) - (0 if options.survivor else 1)
    most = len(cluster.nodes) - (1 if erased > 0 else 0)
    if cluster.strategy is StrategyName.REBUILD and options.keep_copies > most:
        raise UsageError(
            f"--keep-copies {options.keep_copies} cannot be kept: of {len(cluster.nodes)} nodes one is erased by each "
            f"join, so {most} hold the data then",
            remedy=f"--keep-copies {most}, or --fresh NAME=HOST",
        )


def _no_host(text: str) -> str:
    """Why it is none; "" where it is."""
    try:
        host(text)
    except ValueError as error:
        return str(error)
    return ""


def _with_fresh(cluster: Cluster, options: Options) -> Cluster:
    """:raises UsageError: ``--fresh`` where it has no place."""
    if not options.fresh:
        return cluster
    problems = [f"{name}={text}: {why}" for name, text in options.fresh if (why := _no_host(text))]
    problems += list(fresh_problems(cluster, options.fresh, (options.survivor, options.hold_back)))
    if problems:
        raise UsageError(
            f"--fresh: {problems[0]}", details="\n".join(problems[1:]), remedy="--fresh NAME=HOST"
        )
    return with_fresh(cluster, options.fresh)
