"""Resetting a node that is about to join, and restarting services that are in error."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial

from ctmupgrade.actions.answers import note_refusal
from ctmupgrade.actions.base import Ctx, LookResult, LookState, Patience, StepHandler, known
from ctmupgrade.actions.health import health_of
from ctmupgrade.actions.interlocks import joined_through
from ctmupgrade.actions.joining import join_hindrance, refuse_lost_data, refuse_richer, wait_until_steady
from ctmupgrade.actions.membership import JOINING, member_for, members_seen_by
from ctmupgrade.collect import collect
from ctmupgrade.collect.ask import ask
from ctmupgrade.collect.counts import count_of
from ctmupgrade.core.checks import health
from ctmupgrade.core.commands import DELAY_S
from ctmupgrade.core.go_on import GoOn
from ctmupgrade.core.looks import ksctl_probes, shell_probes
from ctmupgrade.core.looks.facts import Unknown
from ctmupgrade.core.looks.holding import AS_NEW
from ctmupgrade.core.plan.steps import ResetNode, RestartServices, Step
from ctmupgrade.core.run.journal import Evidence
from ctmupgrade.core.ticks import Noted, TaskPart, Tick
from ctmupgrade.errors import NodeError
from ctmupgrade.ports import Reply


@dataclass(slots=True)
class Order:
    """The order that was given to the services. :ivar sent_at: when it was taken, by the monotonic clock; -1: not yet.
    :ivar tried: this process has tried to give it; where it has not, one that died may have given it."""

    sent_at: float = -1.0
    tried: bool = False


class ResetHandler(StepHandler):
    """``services reset``: wipes the node's data, keys and HSM configuration (vendor page "Reset System")."""

    def __init__(self, action: ResetNode) -> None:
        self.action = action

    def patience(self, ctx: Ctx) -> Patience:
        """Wait ``timeouts.service``; services must be started in three looks."""
        return Patience(ctx.cluster.timeouts.service, looks=3, grace=timedelta(seconds=60))

    def prepare(self, ctx: Ctx, step: Step) -> Generator[Tick, None, Evidence]:
        """Make sure that only an unclustered node is reset, and only when the join that follows can start: what is erased for
        one that cannot is erased for nothing. Or one whose join another member sees hanging: its own data went
        when that join began."""
        if self.action.via:
            self._refuse_sound(ctx, step)
            refuse_richer(ctx, step, self.action.via)
            return {"reset": "asked"}
        own = known(
            ask(ctx.fleet.control(step.node), ksctl_probes.MEMBERSHIP), f"{step.node}: its cluster state"
        )
        if not own.left:
            raise NodeError(f"{step.id}: {step.node} is still in a cluster, so it is not reset")
        for via in filter(None, [joined_through(ctx, step.node)]):
            yield from wait_until_steady(
                ctx, partial(join_hindrance, ctx, step, via, up=(via,)), "before the reset"
            )
            refuse_lost_data(ctx, step, via)
            refuse_richer(ctx, step, via)
        return {"reset": "asked"}

    def _refuse_sound(self, ctx: Ctx, step: Step) -> None:
        """:raises NodeError: the member sees it ready, or down: then its data may be whole."""
        member = member_for(ctx, members_seen_by(ctx, self.action.via), step.node)
        if member is not None and member.code not in JOINING and member.code != "k":
            state = member.description or member.code
            raise NodeError(
                f"{step.id}: {step.node} is not stuck in a join: {self.action.via} reports it as {state}"
            )

    def start(self, ctx: Ctx, step: Step, before: Evidence) -> TaskPart:
        """Send ``services reset``, which erases the node after a delay."""
        ctx.session(step).own(Order).tried = True
        reply = ctx.fleet.control(step.node).change("services", "reset", "--yes", "--delay", DELAY_S)
        yield Noted(_sent(ctx, step, reply, "services reset"))

    def look(self, ctx: Ctx, step: Step, before: Evidence) -> LookResult:
        """Judge by the services, once the delay is over. Who does not know whether it was sent resets again: nothing is lost.
        But what a process that died has emptied is not reset anew, for each reset may bring back a first password that a
        person has to change before anybody goes on."""
        order = ctx.session(step).own(Order)
        again = LookResult(
            LookState.NOT_YET, "whether it was reset is not known; it is safe to reset it again"
        )
        if order.sent_at < 0 and order.tried:
            return again
        seen = _well(ctx, step, order.sent_at)
        if order.sent_at >= 0 or seen.state is not LookState.DONE:
            return seen
        return seen if _as_new(ctx, step.node) else again


class EraseHandler(ResetHandler):
    """The same of a node that a person gave up by name, whatever it says of a cluster; the interlocks judge whether it may
    be erased. One that is to join is erased only when the join can start."""

    def __init__(self) -> None:
        super().__init__(ResetNode())

    def prepare(self, ctx: Ctx, step: Step) -> Generator[Tick, None, Evidence]:
        """Wait until the member that it will join is steady."""
        for via in filter(None, [joined_through(ctx, step.node)]):
            yield from wait_until_steady(
                ctx, partial(join_hindrance, ctx, step, via, up=(via,)), "before it is erased"
            )
        return {"reset": "asked"}


class RestartHandler(StepHandler):
    """``services restart`` on a node whose services do not come up; ``sudo systemctl restart keysecure`` (seen to
    be allowed to ksadmin, docs/appliance.md 5) where its control plane does not answer."""

    def __init__(self, action: RestartServices) -> None:
        self.action = action

    def patience(self, ctx: Ctx) -> Patience:
        """Wait ``timeouts.service``; services must be started in three looks."""
        return Patience(ctx.cluster.timeouts.service, looks=3, grace=timedelta(seconds=60))

    def prepare(self, ctx: Ctx, step: Step) -> Generator[Tick, None, Evidence]:
        """Wait until no ``ks_upgrade.sh`` runs on the node, whoever started it."""
        running = ask(ctx.fleet.shell(step.node), shell_probes.PROCESSES)
        if isinstance(running, tuple) and running:
            raise NodeError(
                f"{step.id}: not restarted: an upgrade runs on {step.node}: {running[0]}",
                remedy=f"ps -ef   # on {step.node}; wait until no ks_upgrade.sh is there",
            )
        return {}
        yield  # pragma: no cover - makes it a generator

    def start(self, ctx: Ctx, step: Step, before: Evidence) -> TaskPart:
        """Restart the services by ksctl, or by systemd where the plan says so; not where they are started already."""
        seen = collect.health_of(ctx.fleet, ctx.cluster, step.node, ctx.clock)  # whatever was waived
        if not list(health.service_problems({step.node: seen})):
            yield Noted("its services are started; they are not restarted")
            return
        if self.action.by_shell:
            done = ctx.fleet.shell(step.node).change(
                "sudo", "-n", "systemctl", "restart", "keysecure", timeout=300.0
            )
            said = " ".join((done.err or done.out).split())
            session = ctx.session(step)
            if done.ok:
                session.own(Order).sent_at = ctx.clock.monotonic()
            else:
                session.refused, session.definite = f"systemctl restart keysecure was refused: {said}", True
            yield Noted(f"systemctl restart keysecure sent{f': {said}' if said else ''}")
            return
        reply = ctx.fleet.control(step.node).change("services", "restart", "--yes", "--delay", DELAY_S)
        yield Noted(_sent(ctx, step, reply, "services restart"))

    def look(self, ctx: Ctx, step: Step, before: Evidence) -> LookResult:
        """Judge by the services. Where a restart does not help, vendor support must."""
        seen = _well(ctx, step, ctx.session(step).own(Order).sent_at)
        return seen if seen.state is LookState.DONE else replace(seen, remedy=_NO_HELP)


_NO_HELP = "if a restart does not help, ask vendor support: ctmupgrade report --bundle FILE collects what they will ask for"


def _sent(ctx: Ctx, step: Step, reply: Reply, what: str) -> str:
    """The order's answer in words. Only one that was taken makes looks wait for what it does."""
    words, session = note_refusal(ctx, step, reply, what), ctx.session(step)
    if not (session.refused or session.unsure):
        session.own(Order).sent_at = ctx.clock.monotonic()
    return words


def _as_new(ctx: Ctx, name: str) -> bool:
    """Whether a node is in no cluster and has nothing, by its own word."""
    own = ask(ctx.fleet.control(name), ksctl_probes.MEMBERSHIP)
    if isinstance(own, Unknown) or not own.left:
        return False
    counts = count_of(ctx.fleet.control(name))
    return bool(counts) and all(
        not isinstance(count, Unknown) and count <= AS_NEW.get(what, 0) for what, count in counts.items()
    )


def first_login(ctx: Ctx, name: str) -> str:
    """Say what to do about a node that was reset and refuses the login: it may have the vendor's first one again (seen after
    ``hsm setup --reset``: admin, admin, to be changed at once)."""
    node = ctx.cluster.node(name)
    return (
        f"a reset may bring back the first password (admin, admin): log in at {node.url} and give {node.ksctl.username} the "
        "password that cluster.yaml names (ksctl section)"
    )


def _well(ctx: Ctx, step: Step, sent: float) -> LookResult:
    if sent >= 0 and ctx.clock.monotonic() - sent < 2 * float(DELAY_S):
        return LookResult(LookState.GOING_ON, "its services are restarting")
    facts = health_of(ctx, step.node)
    problems = list(health.service_problems({step.node: facts}))
    if problems and isinstance(facts.services, Unknown) and facts.services.login:
        return LookResult(
            LookState.GOING_ON, str(problems[0]), remedy=first_login(ctx, step.node), go_on=GoOn.RESUME
        )
    if problems:
        so = LookState.GOING_ON if sent >= 0 else LookState.NOT_YET
        return LookResult(so, str(problems[0]), unreachable=all(p.unreachable for p in problems))
    return LookResult(LookState.DONE, evidence={"services": "started"})
