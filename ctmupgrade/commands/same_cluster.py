"""A run that is resumed, held against cluster.yaml: its aim never changes."""

from __future__ import annotations

from dataclasses import replace

from ctmupgrade.commands.wiring import Setup
from ctmupgrade.core.model import Cluster
from ctmupgrade.core.plan.new_instances import with_fresh
from ctmupgrade.core.run.journal import RunState
from ctmupgrade.errors import BlockedError


def learn_of_run(setup: Setup, state: RunState) -> None:
    """Add to the cluster what the run's command line said: new instances (``--fresh``) and ``--strategy``."""
    setup.cluster = replace(setup.cluster, strategy=state.plan.strategy)
    names = {node.name for node in setup.cluster.nodes}
    pairs = tuple(pair for pair in state.plan.options.fresh if pair[0] in names)
    if pairs:
        setup.learn(with_fresh(setup.cluster, pairs))


def refuse_other_cluster(cluster: Cluster, state: RunState) -> None:
    """Make sure that the run's target and nodes are still those of cluster.yaml.

    :raises BlockedError: they are not; what differs is named.
    """
    target, planned = cluster.target, state.plan.target
    here = {node.name for node in (*cluster.nodes, *cluster.fresh)}
    compared = (
        ("target.version", str(target.version) != planned.version),
        ("target.archive", target.archive.name != planned.archive),
        ("target.signer", target.signer != planned.signer),
        ("nodes", here != set(state.plan.versions)),
    )
    different = [what for what, differs in compared if differs]
    if different:
        raise BlockedError(
            f"cluster.yaml is no longer that of run {state.run}: {', '.join(different)}",
            remedy="put it back as it was, or: ctmupgrade abort, then ctmupgrade run",
        )
