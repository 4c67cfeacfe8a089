"""What nodes say of their health, as a run judges it: a service that was in error before, and whose error the operator
has waived by name and with a reason, keeps no node from being upgraded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from ctmupgrade.actions.base import Ctx
from ctmupgrade.collect import collect
from ctmupgrade.core.checks import caught_up, health
from ctmupgrade.core.checks.health import Problem
from ctmupgrade.core.looks.cluster_views import Member
from ctmupgrade.core.looks.facts import NodeFacts, Services, Unknown
from ctmupgrade.core.plan.plan import services_in_error
from ctmupgrade.core.run.events import Evidence
from ctmupgrade.core.run.versions_seen import seen_of


def all_health(ctx: Ctx) -> Mapping[str, NodeFacts]:
    """Return what the gate must know, of all nodes."""
    found = collect.all_health(ctx.fleet, ctx.cluster, ctx.clock, ctx.tools.gather)
    return {name: _judged(ctx, facts) for name, facts in found.items()}


def health_of(ctx: Ctx, name: str) -> NodeFacts:
    """Return the same of one node."""
    return _judged(ctx, collect.health_of(ctx.fleet, ctx.cluster, name, ctx.clock))


def caught_up_is_waived(ctx: Ctx) -> bool:
    """Return whether a person said by name that replication which is behind stops nothing."""
    return any(check == "replication_caught_up" for check, _ in ctx.plan.options.skips)


def replication_behind(ctx: Ctx, members: Sequence[Member]) -> list[Problem]:
    """Return what speaks against every one of these members holding what all the others hold, by reports of now."""
    nodes = all_health(ctx)
    ids = {facts.node_id: name for name, facts in nodes.items() if facts.node_id}
    named = {m.node_id: ids.get(m.node_id) or health.name_at(m.host, ctx.cluster) for m in members}
    strangers = [m for m in members if named[m.node_id] not in nodes]
    found = [
        Problem(m.host, "is a member, but cannot be asked what data it has", unknown=True) for m in strangers
    ]
    among = {node_id: name for node_id, name in named.items() if name in nodes}
    return found + list(caught_up.caught_up_problems(nodes, among, ctx.clock.now(), caught_up.REMOVAL))


def versions_seen(nodes: Mapping[str, NodeFacts]) -> Evidence:
    """Return the versions that nodes say, as a look that shows no success remembers them."""
    known = {name: facts.version for name, facts in nodes.items()}
    return {seen_of(name): str(v) for name, v in known.items() if not isinstance(v, Unknown)}


def _judged(ctx: Ctx, facts: NodeFacts) -> NodeFacts:
    waived = any(check == "services_started" for check, _ in ctx.plan.options.skips)
    if not waived or not isinstance(facts.services, Services):
        return facts
    tolerated = services_in_error(ctx.plan.basis, facts.name)
    left = {n: s for n, s in facts.services.by_name.items() if not (n in tolerated and s == "error")}
    judged = Services(facts.services.overall, left)
    if len(left) < len(facts.services.by_name) and not judged.waiting:
        judged = Services("started", left)
    return replace(facts, services=judged)
