"""What nodes say of their health, as a run judges it: a service whose error the operator has accepted by name and with a
reason keeps no node from being upgraded. That is one that was in error before the run, and the secrets manager after the
upgrade of its node."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from ctmupgrade.actions.base import Ctx
from ctmupgrade.collect import collect
from ctmupgrade.collect.ask import ask
from ctmupgrade.core.checks import caught_up, health
from ctmupgrade.core.checks.health import Problem
from ctmupgrade.core.looks import ksctl_probes
from ctmupgrade.core.looks.cluster_views import Member
from ctmupgrade.core.looks.facts import NodeFacts, Services, Unknown
from ctmupgrade.core.looks.secrets_manager import CSM_CHECK, csm_in_error, is_csm, without_csm
from ctmupgrade.core.plan.plan import services_in_error
from ctmupgrade.core.run.events import Evidence
from ctmupgrade.core.run.versions_fold import seen_of
from ctmupgrade.core.version import reached


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


def csm_accepted(ctx: Ctx) -> str:
    """Return why a person accepts that the secrets manager is in error after the upgrade; "" where nobody does. Who learns of
    it only when the run has stopped says so in cluster.yaml, before the resume."""
    given = {skip.check: skip.reason for skip in ctx.cluster.skips if ctx.clock.now() < skip.until}
    return {**given, **dict(ctx.plan.options.skips)}.get(CSM_CHECK, "")


def services_words(ctx: Ctx, facts: NodeFacts) -> str:
    """Return how a node's services are that keep nothing waiting, with those in error that a person accepts."""
    services = facts.services
    if isinstance(services, Unknown) or not services.tolerated:
        return "started"
    given, csm = dict(ctx.plan.options.skips), csm_accepted(ctx)
    each = (csm if is_csm(name) and csm else given.get("services_started", "") for name in services.tolerated)
    reasons = "; ".join(dict.fromkeys(each))
    return f"started, but {', '.join(services.tolerated)} in error, which is accepted: {reasons}"


def accepted_csm_error(ctx: Ctx, name: str) -> str:
    """Return that a node's secrets manager is in error, and why a person accepts it; "" where it is not, or nobody does."""
    reason = csm_accepted(ctx)
    services = ask(ctx.fleet.control(name), ksctl_probes.SERVICES) if reason else Unknown("not asked")
    bad = () if isinstance(services, Unknown) else csm_in_error(services)
    return f"service {', '.join(bad)} is in error, which is accepted: {reason}" if bad else ""


def versions_seen(nodes: Mapping[str, NodeFacts]) -> Evidence:
    """Return the versions that nodes say, as a look that shows no success remembers them."""
    known = {name: facts.version for name, facts in nodes.items()}
    return {seen_of(name): str(v) for name, v in known.items() if not isinstance(v, Unknown)}


def _judged(ctx: Ctx, facts: NodeFacts) -> NodeFacts:
    services, version = facts.services, facts.version
    if isinstance(services, Unknown):
        return facts
    if any(check == "services_started" for check, _ in ctx.plan.options.skips):
        services = _as_before(services, services_in_error(ctx.plan.basis, facts.name))
    upgraded = not isinstance(version, Unknown) and reached(version, ctx.cluster.target.version)
    if upgraded and csm_accepted(ctx):
        services = without_csm(services)
    return replace(facts, services=services)


def _as_before(services: Services, in_error: Sequence[str]) -> Services:
    """The services without those that are in error as they were when the plan was made."""
    left = {n: s for n, s in services.by_name.items() if not (n in in_error and s == "error")}
    gone = tuple(n for n in services.by_name if n not in left)
    judged = Services(services.overall, left, gone)
    return Services("started", left, gone) if gone and not judged.waiting else judged
