"""Resetting a node that is about to join, and restarting services that are in error."""

from __future__ import annotations

import json
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
from ctmupgrade.core.ksctl import order_wants_login
from ctmupgrade.core.looks import ksctl_probes, shell_probes
from ctmupgrade.core.looks.facts import Unknown
from ctmupgrade.core.looks.holding import AS_NEW
from ctmupgrade.core.plan.steps import ResetNode, RestartServices, Step
from ctmupgrade.core.run.journal import Evidence
from ctmupgrade.core.run.note_codes import NoteCode
from ctmupgrade.core.ticks import Noted, TaskPart, Tick
from ctmupgrade.errors import ConnectionLostError, LoginRefusedError, NodeError, UnreachableError
from ctmupgrade.ports import Reply

GRACE = timedelta(seconds=60)  # so long what a look does not show is not believed
MOST_LOST = 2  # so often one process orders a reset whose answer is lost: a new node may have as much after it as before


@dataclass(slots=True)
class Order:
    """The order that was given to the services. :ivar sent_at: when it was taken, by the monotonic clock; -1: not yet.
    :ivar unsent: it did not leave this machine. :ivar doubted_at: since when whether it was carried out is not known, by the same
    clock; -1: it is. :ivar mute_at: since when its services are started and it does not tell; -1: not so.
    :ivar told: that the login is refused was noted."""

    sent_at: float = -1.0
    unsent: bool = False
    doubted_at: float = -1.0
    mute_at: float = -1.0
    told: bool = False


class ResetHandler(StepHandler):
    """``services reset``: wipes the node's data, keys and HSM configuration (vendor page "Reset System")."""

    def __init__(self, action: ResetNode) -> None:
        self.action = action
        self.lost = 0  # so often this process ordered it and got no answer

    def patience(self, ctx: Ctx) -> Patience:
        """Wait ``timeouts.service``; services must be started in three looks."""
        return Patience(ctx.cluster.timeouts.service, looks=3, grace=GRACE)

    def prepare(self, ctx: Ctx, step: Step) -> Generator[Tick, None, Evidence]:
        """Make sure that only an unclustered node is reset, and only when the join that follows can start: what is erased for
        one that cannot is erased for nothing. Or one whose join another member sees hanging: its own data went
        when that join began."""
        if self.action.via:
            self._refuse_sound(ctx, step)
            refuse_richer(ctx, step, self.action.via)
            return {"reset": "asked", **had(ctx, step.node)}
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
        return {"reset": "asked", **had(ctx, step.node)}

    def _refuse_sound(self, ctx: Ctx, step: Step) -> None:
        """:raises NodeError: the member sees it ready, or down: then its data may be whole."""
        member = member_for(ctx, members_seen_by(ctx, self.action.via), step.node)
        if member is not None and member.code not in JOINING and member.code != "k":
            state = member.description or member.code
            raise NodeError(
                f"{step.id}: {step.node} is not stuck in a join: {self.action.via} reports it as {state}"
            )

    def start(self, ctx: Ctx, step: Step, before: Evidence) -> TaskPart:
        """Send ``services reset``, which erases the node after a delay.

        :raises LoginRefusedError: nothing was sent. :raises UnreachableError: likewise.
        """
        order, control = ctx.session(step).own(Order), ctx.fleet.control(step.node)
        try:
            reply = control.change("services", "reset", "--yes", "--delay", DELAY_S)
        except (LoginRefusedError, UnreachableError):
            order.unsent = True
            raise
        except ConnectionLostError:
            self.lost += 1
            raise
        words = _sent(ctx, step, reply, "services reset")
        self.lost += ctx.session(step).unsure and not order_wants_login(ctx.session(step).said)
        never = NoteCode.NOT_SENT if ctx.session(step).definite else NoteCode.NONE
        yield Noted(words, NoteCode.ORDER_TAKEN if order.sent_at >= 0 else never)

    def look(self, ctx: Ctx, step: Step, before: Evidence) -> LookResult:
        """Judge by the services, once the delay is over. Each reset may bring back a first password that a person has to change
        before anybody goes on, so a node is reset again only where the order is known not to have been carried out: it was
        not sent, or the node still has what it had. Where nothing tells, a person must."""
        order, said = _order_of(ctx, step), ctx.session(step)
        if order.unsent or said.refused:
            return LookResult(LookState.NOT_YET, "the reset was not sent")
        if order.sent_at >= 0:
            seen = _well(ctx, step, order.sent_at)  # an order may be answered, and come to nothing
            kept = seen.state is LookState.DONE and was_emptied(ctx, step.node, before) is False
            return _noted_once(order, _not_reset(step) if kept else seen)
        return _noted_once(order, self._doubted(ctx, step, before, order))

    def _doubted(self, ctx: Ctx, step: Step, before: Evidence, order: Order) -> LookResult:
        """Judge where the order may have been carried out, by what the node has now."""
        now = ctx.clock.monotonic()
        order.doubted_at = now if order.doubted_at < 0 else order.doubted_at
        if now - order.doubted_at < 2 * float(DELAY_S):
            return LookResult(LookState.UNKNOWN, "whether it was reset is not known yet", untold=True)
        seen, was_reset = _well(ctx, step, -1.0), was_emptied(ctx, step.node, before)
        if was_reset is False:
            more = self.lost < MOST_LOST
            return (
                _not_reset(step) if more else replace(_not_reset(step), state=LookState.UNKNOWN, final=True)
            )
        if seen.state is not LookState.DONE:
            order.mute_at = -1.0
            return replace(seen, state=LookState.UNKNOWN, untold=not seen.unreachable)
        if was_reset:
            return seen
        order.mute_at = now if order.mute_at < 0 else order.mute_at
        final = now - order.mute_at >= min(GRACE, ctx.cluster.timeouts.service / 2).total_seconds()
        return LookResult(
            LookState.UNKNOWN, "its services are started, but whether it was reset is not known",
            remedy=f"ksctl keys list; ksctl users list   # on {step.node}: a node that was reset has no key of the cluster",
            final=final, untold=not final, go_on=GoOn.DONE_OR_RETRY,
        )  # fmt: skip


def _not_reset(step: Step) -> LookResult:
    return LookResult(
        LookState.NOT_YET, f"it was not reset: {step.node} still has what it had before",
        remedy=f"ksctl keys list; ksctl users list   # on {step.node}: whether it still has those of before",
        go_on=GoOn.DONE_OR_RETRY,
    )  # fmt: skip


def _order_of(ctx: Ctx, step: Step) -> Order:
    """What is known of the order, also by the notes of a process that died or gave up: what was answered without an error then is
    not sent again."""
    order, noted = ctx.session(step).own(Order), ctx.last_noted.get(step.id, ())
    if NoteCode.ORDER_TAKEN in noted and order.sent_at < 0:
        order.sent_at = ctx.clock.monotonic()
    order.unsent = order.unsent or NoteCode.NOT_SENT in noted
    return order


def _noted_once(order: Order, seen: LookResult) -> LookResult:
    """The look; the first that waits for a person, whose login is refused, with a note that says so at once."""
    if order.told or seen.go_on is not GoOn.RESUME:
        return seen
    order.told = True
    return replace(
        seen, note=Noted(f"waiting for a login ({seen.detail}): {seen.remedy}; it then goes on by itself")
    )


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
        return {"reset": "asked", **had(ctx, step.node)}


class RestartHandler(StepHandler):
    """``services restart`` on a node whose services do not come up; ``sudo systemctl restart keysecure`` (seen to
    be allowed to ksadmin, docs/appliance.md 5) where its control plane does not answer."""

    def __init__(self, action: RestartServices) -> None:
        self.action = action

    def patience(self, ctx: Ctx) -> Patience:
        """Wait ``timeouts.service``; services must be started in three looks."""
        return Patience(ctx.cluster.timeouts.service, looks=3, grace=GRACE)

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


def had(ctx: Ctx, name: str) -> Evidence:
    """Return how many keys and users a node has before it is reset, as far as it tells: a later look compares with that."""
    counts = {what: n for what, n in count_of(ctx.fleet.control(name)).items() if not isinstance(n, Unknown)}
    return {"counts": json.dumps(counts)} if counts else {}


def was_emptied(ctx: Ctx, name: str, before: Evidence) -> bool | None:
    """Return whether a node was reset, by its own word; None: it does not tell.

    :param before: what it had, see :func:`had`. A release may have keys and users of its own after a reset."""
    own = ask(ctx.fleet.control(name), ksctl_probes.MEMBERSHIP)
    if isinstance(own, Unknown):
        return None
    if not own.left:
        return False
    told = count_of(ctx.fleet.control(name))
    now = {what: count for what, count in told.items() if not isinstance(count, Unknown)}
    earlier: dict[str, int] = json.loads(before.get("counts", "{}"))
    held = {what: count for what, count in earlier.items() if count > AS_NEW.get(what, 0) and what in now}
    if any(2 * now[what] <= count for what, count in held.items()):
        return True  # clients may have made or destroyed some meanwhile, but not so many
    if any(now[what] >= count for what, count in held.items()):
        return False
    as_new = len(now) == len(told) and all(count <= AS_NEW.get(what, 0) for what, count in now.items())
    return True if now and as_new else None


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
            LookState.GOING_ON,
            f"{step.node}: {facts.services.words}",
            remedy=first_login(ctx, step.node),
            go_on=GoOn.RESUME,
        )
    if problems:
        so = LookState.GOING_ON if sent >= 0 else LookState.NOT_YET
        return LookResult(so, str(problems[0]), unreachable=all(p.unreachable for p in problems))
    return LookResult(LookState.DONE, evidence={"services": "started"})
