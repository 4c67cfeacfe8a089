"""Waiting for nodes: the gate between two of them, the reboot, and the proof that one is well again."""

from __future__ import annotations

import math
from collections.abc import Generator, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta

from ctmupgrade.actions.base import Ctx, LookResult, LookState, Patience, StepHandler, known
from ctmupgrade.actions.before_reboot import wait_for_script
from ctmupgrade.actions.earlier_upgrades import refuse_doubted
from ctmupgrade.actions.health import (
    all_health,
    caught_up_is_waived,
    health_of,
    services_words,
    versions_seen,
)
from ctmupgrade.actions.sudo import sudo_of, sudo_refused
from ctmupgrade.collect.ask import boot_against
from ctmupgrade.core.checks import caught_up, health
from ctmupgrade.core.checks.health import Problem
from ctmupgrade.core.go_on import GoOn
from ctmupgrade.core.looks.boot import BootMark
from ctmupgrade.core.looks.facts import NodeFacts, Unknown
from ctmupgrade.core.modes import StrategyName
from ctmupgrade.core.plan.steps import Step, step_id
from ctmupgrade.core.run.journal import Evidence
from ctmupgrade.core.ticks import Noted, TaskPart, Tick
from ctmupgrade.core.version import reached
from ctmupgrade.errors import NodeError, UnreachableError


@dataclass(slots=True)
class Waited:
    """What looks at a node that comes back remember, by the monotonic clock.

    :ivar wrong_since: all its services are up, and its version is not the target's.
    :ivar well_since: no look was bad. :ivar all_at: all other nodes were asked too."""

    wrong_since: float | None = None
    well_since: float | None = None
    all_at: float = -math.inf


MOST_REBOOTS = 3  # of a node by one process
NOT_REBOOTED = "it has not rebooted yet"
LOOKS = 3  # good looks in a row before a node counts as back


OTHER_VERSION = "find out who upgraded the node, or put it back: the plan was made before"


def gate_look(ctx: Ctx, *, upgrades: bool = True) -> LookResult:
    """Return whether every node, asked through every other, is ready, connected, on its expected version, and idle.

    :param upgrades: whether versions, and upgrades that run or have failed, are judged.
    """
    nodes = all_health(ctx)
    clustered = ctx.cluster.strategy is not StrategyName.STANDALONE
    problems = health.cluster_problems(
        nodes, ctx.cluster, ctx.clock.now(), clustered=clustered, upgrades=upgrades
    )
    if clustered and not problems and not caught_up_is_waived(ctx):
        problems += caught_up.behind_problems(nodes, ctx.cluster, ctx.clock.now())
    problems += health.version_problems(nodes, ctx.expected) if upgrades else ()
    refuse_host_keys(nodes)
    if wrong := [p for p in problems if p.version]:
        others = [p for p in problems if p not in wrong]
        seen = replace(_seen_of([*others, *wrong]), remedy=OTHER_VERSION, go_on=GoOn.NEW_RUN)
        return replace(seen, seen=versions_seen(nodes))
    if not problems:
        told = ", ".join(f"{n} {f.version}" for n, f in nodes.items())
        return LookResult(LookState.DONE, evidence={"all_well": told})
    return replace(_seen_of(problems), seen=versions_seen(nodes))


def refuse_host_keys(nodes: Mapping[str, NodeFacts]) -> None:
    """Refuse a changed host key, which no waiting fixes. :raises HostKeyError: there is one."""
    for name, facts in nodes.items():
        if isinstance(facts.unit, Unknown) and facts.unit.host_key:
            known(facts.unit, f"{name}: how it is")


def _seen_of(problems: list[Problem]) -> LookResult:
    """What is said first is what explains the rest: a node that does not answer is also down for the others."""
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    away = {p.node: p for p in reversed(problems) if p.unreachable}
    rest = [p for p in problems if p.node not in away]
    if away and not rest:
        name, first = next(reversed(away.items()))
        remedy = f"bring {name} back"
        return LookResult(
            LookState.UNKNOWN, f"{first}{more}", unreachable=True, remedy=remedy, go_on=GoOn.RESUME, node=name
        )
    known_ones = [p for p in rest if not p.unknown]
    first = (known_ones or rest)[0]
    so = LookState.NOT_YET if known_ones else LookState.UNKNOWN
    remedy = first.remedy or f"check {first.node or 'the cluster'} and fix it"
    return LookResult(so, f"{first}{more}", remedy=remedy, go_on=GoOn.RESUME, node=first.node)


def polls_apart(nodes: int) -> int:
    """Return how many polls are between a gate's looks at so many nodes while one of them is unwell: this machine and the
    control planes shall have little to do for it (`scripts/bench gate`)."""
    return math.ceil(nodes / 10)


class GateHandler(StepHandler):
    """Waits until all are well, and have stayed so for ``stable_for``: services go back to error and starting for minutes
    after the first `started` (docs/appliance.md 4.2). Where a node has just settled, all were watched with it."""

    def patience(self, ctx: Ctx) -> Patience:
        """Wait ``timeouts.service`` for it, and for the streak unless all have just been watched."""
        timeout = ctx.cluster.timeouts.service
        waits = timedelta(seconds=ctx.poll * polls_apart(len(ctx.cluster.nodes)))
        if _has_just_settled(ctx):
            return Patience(timeout, waits=waits)
        steady = ctx.cluster.stable_for
        return Patience(timeout, looks=LOOKS, steady=steady, apart=steady / health.STREAK, waits=waits)

    def look(self, ctx: Ctx, step: Step, before: Evidence) -> LookResult:
        """Ask every node of every other; see :func:`gate_look`."""
        return gate_look(ctx)


class RebootHandler(StepHandler):
    """``sudo reboot``; only another boot id proves it."""

    lost_words = "sudo reboot sent; it closed the connection, as every reboot does; checking its boot"

    def patience(self, ctx: Ctx) -> Patience:
        """Wait ``timeouts.reboot``; a node that goes down answers for some seconds yet. It is asked for a few times only: one
        that reboots, and whose boot does not tell, would be rebooted for as long as there is time."""
        grace = timedelta(seconds=max(20.0, 3 * ctx.poll))
        return Patience(ctx.cluster.timeouts.reboot, grace=grace, starts=MOST_REBOOTS)

    def prepare(self, ctx: Ctx, step: Step) -> Generator[Tick, None, Evidence]:
        """Wait until the script has ended. The boot to compare with is the one before the upgrade, so
        that a reboot which someone made meanwhile is not made twice."""
        boot = yield from wait_for_script(ctx, step)
        earlier = ctx.baselines.get(step_id("upgrade", step.node), {}).get("boot", "")
        if not boot.differs_from(BootMark.of_text(earlier)):
            refuse_doubted(ctx, step, ctx.fleet.shell(step.node))
        return {"boot": earlier or replace(boot, taken=ctx.clock.now().timestamp()).text()}

    def start(self, ctx: Ctx, step: Step, before: Evidence) -> TaskPart:
        """Send ``sudo reboot``, unless it was rebooted since its upgrade.

        :raises ConnectionLostError: as nearly every reboot does.
        """
        if self.look(ctx, step, before).state is LookState.DONE:
            yield Noted("it was rebooted already, after ks_upgrade.sh succeeded")
            return
        shell = ctx.fleet.shell(step.node)
        try:
            reply = shell.change(*sudo_of(ctx, step.node), "reboot")
        finally:
            shell.disconnect()  # an open session may hold the shutdown up until it is killed
        said = " ".join((reply.err or reply.out).split())
        if "password is required" in said or "not allowed" in said or reply.missing or sudo_refused(reply):
            session = ctx.session(step)
            session.refused = f"sudo reboot was refused: {said} (allow it: sudo -n -l must list reboot)"
            session.definite = True
        if said:
            ctx.session(step).said = f"sudo reboot: {said}"
        yield Noted(f"sudo reboot sent{f': {said}' if said else ''}")

    def look(self, ctx: Ctx, step: Step, before: Evidence) -> LookResult:
        """Compare the boot with the one before."""
        seen = self._look(ctx, step, before)
        if seen.state is not LookState.DONE:
            ctx.fleet.shell(step.node).disconnect()  # the next look must not ask a dying session
        return seen

    def _look(self, ctx: Ctx, step: Step, before: Evidence) -> LookResult:
        boot = ask_boot(ctx, step.node, BootMark.of_text(before.get("boot", "")))
        if isinstance(boot, Unknown):
            if boot.unreachable:
                return LookResult(
                    LookState.UNKNOWN, f"{step.node} does not answer yet: {boot.why}", unreachable=True
                )
            return LookResult(LookState.UNKNOWN, f"its boot id cannot be read: {boot.why}")
        changed = boot.differs_from(BootMark.of_text(before.get("boot", "")))
        if changed is None:
            return LookResult(
                LookState.UNKNOWN,
                "whether it has rebooted is not known: its boot id cannot be compared with the earlier one",
            )
        if not changed:
            if ctx.session(step).refused:
                return LookResult(LookState.NOT_YET, NOT_REBOOTED)
            remedy = f"uptime   # on {step.node}: whether it rebooted all the same; if not, reboot it at its console"
            return LookResult(LookState.NOT_YET, NOT_REBOOTED, remedy=remedy, go_on=GoOn.DONE_OR_RETRY)
        return LookResult(LookState.DONE, evidence={"boot": boot.boot_id or f"since {boot.since:.0f}"})


def ask_boot(ctx: Ctx, node: str, earlier: BootMark) -> BootMark | Unknown:
    """Return the boot mark, to be compared with an earlier one.

    :raises HostKeyError: a changed host key, which never fixes itself (`ask` would only tell of it).
    :raises UnreachableError: nothing answers; or a server on its way down, or up, that runs no command.
    """
    _knock(ctx, node)
    return boot_against(ctx.fleet.shell(node), earlier)


def _knock(ctx: Ctx, node: str) -> None:
    # `ask` would take these errors in, and only tell of them.
    try:
        ctx.fleet.shell(node).read("ls", timeout=15.0)
    except NodeError as error:
        raise UnreachableError(
            error.brief, details=error.details, remedy=error.remedy, go_on=error.go_on
        ) from error


def node_look(ctx: Ctx, step: Step, *, clustered: bool, expected_up: bool) -> LookResult:
    """Return whether keysecure is active, services are started, login works, the version is the target's, others see it ready.

    :param expected_up: it was well a moment ago, so that the others are asked at once with it.
    """
    nodes: Mapping[str, NodeFacts]
    _knock(ctx, step.node)
    if not (clustered and expected_up):
        nodes = {step.node: health_of(ctx, step.node)}
        up = not list(health.service_problems(nodes))
        clustered = clustered and up  # until then the others are not asked
    if clustered:
        nodes = all_health(ctx)
    own = nodes[step.node]
    refuse_host_keys({step.node: own})
    problems = list(health.service_problems({step.node: own}))
    if clustered:
        problems += _seen_by_others(ctx, step.node, nodes)
    if isinstance(own.version, Unknown):
        problems.append(
            Problem(
                step.node, f"its version is not known: {own.version.words}", True, own.version.unreachable
            )
        )
    elif not reached(own.version, ctx.cluster.target.version):
        wrong = f"it has version {own.version}, not {ctx.cluster.target.version.short}"
        if not problems and _lasts(ctx, step):
            return LookResult(
                LookState.FAILED,
                wrong,
                remedy="the upgrade did not take effect: keep its log, ask vendor support",
                seen=versions_seen({step.node: own}),
            )
        problems.append(Problem(step.node, wrong))
    if problems:
        return replace(_seen_of(problems), seen=versions_seen({step.node: own}))
    proof = {"version": str(own.version), "keysecure": "active", "services": services_words(ctx, own)}
    return LookResult(
        LookState.DONE,
        evidence={**proof, "ready_and_connected": "reported by the other nodes"} if clustered else proof,
    )


WRONG_FOR = timedelta(seconds=60)  # so long an old version, all services up, is tolerated


def _lasts(ctx: Ctx, step: Step) -> bool:
    """Whether the wrong version has been there long enough to be believed."""
    own, now = ctx.session(step).own(Waited), ctx.clock.monotonic()
    own.wrong_since = now if own.wrong_since is None else own.wrong_since
    return now - own.wrong_since >= min(WRONG_FOR, ctx.cluster.timeouts.service / 2).total_seconds()


def _seen_by_others(ctx: Ctx, name: str, nodes: Mapping[str, NodeFacts]) -> list[Problem]:
    found = list(health.membership_problems(nodes, ctx.cluster))
    found += health.readiness_problems(nodes, ctx.cluster)
    found += health.replication_problems(nodes, ctx.cluster, ctx.clock.now())
    others = [facts.members for other, facts in nodes.items() if other != name]
    silent = [members for members in others if isinstance(members, Unknown)]
    if others and len(silent) == len(others):
        away = all(members.unreachable for members in silent)
        found.append(Problem(name, "no other member can be asked about it", True, away))
    return found


class AwaitHandler(StepHandler):
    """A node after its reboot."""

    def __init__(self, *, clustered: bool) -> None:
        self.clustered = clustered

    def patience(self, ctx: Ctx) -> Patience:
        """Wait ``timeouts.service``; whether it stays so is what the settling asks."""
        return Patience(ctx.cluster.timeouts.service)

    def look(self, ctx: Ctx, step: Step, before: Evidence) -> LookResult:
        """Ask the node, and one that sees it where it is a member; see :func:`node_look`."""
        return node_look(ctx, step, clustered=self.clustered, expected_up=False)


ALL_EVERY = 5  # polls: so often a settling node's cluster is asked, and the node itself every time


def _has_just_settled(ctx: Ctx) -> bool:
    """Whether all nodes were seen well, for ``stable_for`` and up to now, while one settled in this process."""
    last = max(
        (s.own(Waited).all_at for key, s in ctx.sessions.items() if key.startswith("settle:")),
        default=-math.inf,
    )
    return ctx.clock.monotonic() - last <= ALL_EVERY * ctx.poll


class SettleHandler(AwaitHandler):
    """The same, without a break for ``stable_for``. All nodes are asked first, last and every few polls: twenty of
    them, each asked by several logins, are more than a control plane should bear every five seconds."""

    def patience(self, ctx: Ctx) -> Patience:
        """Wait ``timeouts.service`` for ``stable_for`` without a break."""
        return Patience(ctx.cluster.timeouts.service, looks=LOOKS, steady=ctx.cluster.stable_for)

    def look(self, ctx: Ctx, step: Step, before: Evidence) -> LookResult:
        """Ask the node at each look, and the others now and then and at the last."""
        own = ctx.session(step).own(Waited)
        well_since = ctx.clock.monotonic() if own.well_since is None else own.well_since
        asked_all = own.all_at
        own.well_since, own.all_at = None, -math.inf  # until this look, too, is good
        seen, due = None, ctx.clock.monotonic() - asked_all >= ALL_EVERY * ctx.poll
        while seen is None or (
            seen.state is LookState.DONE and not due and self._may_be_last(ctx, well_since)
        ):
            due = due or self._may_be_last(ctx, well_since)
            asked_all = ctx.clock.monotonic() if due else asked_all
            seen = node_look(ctx, step, clustered=self.clustered and due, expected_up=True)
        if seen.state is LookState.DONE:
            own.well_since, own.all_at = well_since, asked_all
        return seen

    def _may_be_last(self, ctx: Ctx, well_since: float) -> bool:
        return ctx.clock.monotonic() - well_since + ctx.poll >= ctx.cluster.stable_for.total_seconds()
