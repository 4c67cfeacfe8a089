"""Removing nodes, unclustering them, a new cluster, joins.

Membership is always decided by *another* member: a removed node looks like a rebooting one, and the id of a
removed node answers with an internal error (FACTS 6). Long calls may time out although they succeeded, and
``fulljoin`` prints differently in each version: its text is not read, the state is looked at.
"""

from __future__ import annotations

from collections.abc import Collection, Generator
from datetime import timedelta

from ctmupgrade.actions.backup import refused
from ctmupgrade.actions.base import Ctx, LookResult, LookState, Patience, StepHandler, known
from ctmupgrade.actions.health import health_of
from ctmupgrade.actions.waits import refuse_host_keys
from ctmupgrade.collect.collect import ask
from ctmupgrade.core.checks import health
from ctmupgrade.core.commands import join_argv, new_cluster_argv, removal_argv
from ctmupgrade.core.ksctl import sounds_away
from ctmupgrade.core.looks import probes
from ctmupgrade.core.looks.facts import Member, Unknown
from ctmupgrade.core.plan.steps import JoinNode, RemoveNode, Step
from ctmupgrade.core.run.journal import Evidence
from ctmupgrade.core.ticks import Noted, TaskPart, Tick, Waiting
from ctmupgrade.errors import CtmUpgradeError, NodeError, UnreachableError
from ctmupgrade.ports import Reply

JOINING = frozenset(("creating", "b", "i", "c", "o"))
DOWN_GRACE = timedelta(
    minutes=10
)  # `down` may appear for a short time in a join; only a lasting one is failure


def note_refusal(ctx: Ctx, step: Step, reply: Reply, what: str) -> str:
    """What a changing call said, in words for the journal; a definite no is remembered as such. Another one ("consensus
    is down" for a while after each join, a time-out) is sent again where looks show that nothing came of it."""
    said, session = refused(reply), ctx.session(step)
    if said and sounds_away(said):
        session.unsure, session.memo["said"] = True, f"{what}: {said}"
    elif said:
        session.refused = f"{what} was refused: {said}"
    return f"{what} sent{f': {said}' if said else ''}"


def members_seen_by(ctx: Ctx, name: str) -> tuple[Member, ...]:
    """A member's list. :raises UnreachableError: it does not answer. :raises NodeError: not understood."""
    return known(ask(ctx.fleet.control(name), probes.MEMBERS), f"{name}: its list of members")


def member_for(ctx: Ctx, members: tuple[Member, ...], name: str) -> Member | None:
    """The line of a configured node in such a list: by address, never by position."""
    own = ask(ctx.fleet.control(name), probes.MEMBERSHIP)
    ids = {} if isinstance(own, Unknown) or not own.node_id else {own.node_id: name}
    return next((m for m in members if health.name_of(m, ids, ctx.cluster) == name), None)


class RemoveHandler(StepHandler):
    """``cluster nodes delete`` through another member; proven by that member's list."""

    def __init__(self, action: RemoveNode) -> None:
        self.action = action

    def patience(self, ctx: Ctx) -> Patience:
        return Patience(
            ctx.cluster.timeouts.service, looks=2, grace=timedelta(seconds=max(30.0, 3 * ctx.poll))
        )

    def prepare(self, ctx: Ctx, step: Step) -> Generator[Tick, None, Evidence]:
        """No membership change while another one is under way. A join of the node itself that was ended by its
        reset is shown for a while yet."""
        began, since, patience = ctx.clock.monotonic(), ctx.clock.now(), ctx.cluster.timeouts.service
        while True:
            busy = [m for m in members_seen_by(ctx, self.action.via) if m.code in JOINING or m.code == "m"]
            if not busy:
                return {"id": self.action.node_id, "via": self.action.via}
            words = (
                f"{step.id}: {busy[0].host} is {busy[0].description or busy[0].code}; one change at a time"
            )
            late = ctx.clock.monotonic() - began >= patience.total_seconds()
            if late or any(m.node_id != self.action.node_id for m in busy):
                raise NodeError(words)
            yield Waiting(ctx.poll, words, since, since + patience)

    def start(self, ctx: Ctx, step: Step, before: Evidence) -> TaskPart:
        if self.look(ctx, step, before).state is LookState.DONE:
            yield Noted(f"{self.action.via} does not list it any more")
            return
        reply = ctx.fleet.control(self.action.via).change(*removal_argv(self.action), "-y")
        yield Noted(note_refusal(ctx, step, reply, f"cluster nodes delete through {self.action.via}"))

    def look(self, ctx: Ctx, step: Step, before: Evidence) -> LookResult:
        there = [m for m in members_seen_by(ctx, self.action.via) if m.node_id == self.action.node_id]
        if not there:
            return LookResult(
                LookState.DONE, evidence={"removed": self.action.node_id, "proven_by": self.action.via}
            )
        state = there[0].description or there[0].code
        so = LookState.GOING_ON if there[0].code in ("m", "v", "k") else LookState.NOT_YET
        return LookResult(so, f"{self.action.via} still lists it as {state}")


class DeleteClusterHandler(StepHandler):
    """``cluster delete`` on the node itself. It may answer with a time-out although it succeeded."""

    def patience(self, ctx: Ctx) -> Patience:
        return Patience(
            ctx.cluster.timeouts.service, looks=2, grace=timedelta(seconds=max(60.0, 3 * ctx.poll))
        )

    def prepare(self, ctx: Ctx, step: Step) -> Generator[Tick, None, Evidence]:
        """Nobody else may be left in its cluster unless it was removed from it by another member."""
        return {"members": str(len(members_or_none(ctx, step.node)))}
        yield  # pragma: no cover

    def start(self, ctx: Ctx, step: Step, before: Evidence) -> TaskPart:
        if self.look(ctx, step, before).state is LookState.DONE:
            yield Noted("it is unclustered already")
            return
        reply = ctx.fleet.control(step.node).change("cluster", "delete", "-y")
        yield Noted(note_refusal(ctx, step, reply, "cluster delete"))

    def look(self, ctx: Ctx, step: Step, before: Evidence) -> LookResult:
        own = known(ask(ctx.fleet.control(step.node), probes.MEMBERSHIP), f"{step.node}: its cluster state")
        if own.clustered:
            return LookResult(LookState.NOT_YET, f"it still says {own.code}")
        return LookResult(LookState.DONE, evidence={"cluster": "none"})


def members_or_none(ctx: Ctx, name: str) -> tuple[Member, ...]:
    """A node's list, empty where it has or tells none."""
    listed = ask(ctx.fleet.control(name), probes.MEMBERS)
    return () if isinstance(listed, Unknown) else listed


class NewClusterHandler(StepHandler):
    """``cluster new`` on the upgraded survivor."""

    def patience(self, ctx: Ctx) -> Patience:
        return Patience(
            ctx.cluster.timeouts.service, looks=2, grace=timedelta(seconds=max(60.0, 3 * ctx.poll))
        )

    def start(self, ctx: Ctx, step: Step, before: Evidence) -> TaskPart:
        node = ctx.cluster.node(step.node)
        public = ctx.baselines.get(f"record-settings:{step.node}", {}).get("public_address", "")
        reply = ctx.fleet.control(step.node).change(*new_cluster_argv(node, public))
        yield Noted(note_refusal(ctx, step, reply, "cluster new"))

    def look(self, ctx: Ctx, step: Step, before: Evidence) -> LookResult:
        own = known(ask(ctx.fleet.control(step.node), probes.MEMBERSHIP), f"{step.node}: its cluster state")
        if own.node_id and own.code == "r":
            return LookResult(LookState.DONE, evidence={"node_id": own.node_id})
        so = LookState.GOING_ON if own.code in JOINING else LookState.NOT_YET
        return LookResult(so, f"it says {own.code}")


def join_hindrance(ctx: Ctx, step: Step, via: str, *, up: Collection[str]) -> CtmUpgradeError | None:
    """Why a node cannot be joined now, though perhaps soon.

    :param up: those of the two whose services must be up.
    :raises NodeError: the versions differ. :raises HostKeyError: a host key has changed.
    """
    both = {name: health_of(ctx, name) for name in (via, step.node)}
    refuse_host_keys(both)
    problem = next(iter(health.service_problems({n: f for n, f in both.items() if n in up})), None)
    if problem is not None:
        kind = UnreachableError if problem.unreachable else NodeError
        remedy = f"bring the services of {problem.node} up, then: ctmupgrade resume"
        return kind(f"{step.id}: not joined: {problem}", remedy=remedy)
    versions = {n: known(f.version, f"{n}: its version") for n, f in both.items()}
    if versions[via].release != versions[step.node].release:
        raise NodeError(
            f"{step.id}: versions differ: {via} {versions[via]}, {step.node} {versions[step.node]}"
        )
    busy = [m for m in members_seen_by(ctx, via) if not m.ready]
    if busy:
        state = busy[0].description or busy[0].code
        return NodeError(f"{step.id}: {busy[0].host} is {state}; one join at a time")
    return None


class JoinHandler(StepHandler):
    """``fulljoin`` through a member; done when that member shows the joiner ready, several looks in a row."""

    def __init__(self, action: JoinNode) -> None:
        self.action = action

    def patience(self, ctx: Ctx) -> Patience:
        return Patience(ctx.cluster.timeouts.join, looks=3, grace=timedelta(seconds=max(60.0, 3 * ctx.poll)))

    def prepare(self, ctx: Ctx, step: Step) -> Generator[Tick, None, Evidence]:
        """Equal versions, services up on both, and no other join or removal under way. What passes by itself, a
        node that boots or a member that settles, is waited for."""
        began, since = ctx.clock.monotonic(), ctx.clock.now()
        timeout = ctx.cluster.timeouts.service
        via = self.action.via
        while (hindrance := join_hindrance(ctx, step, via, up=(via, step.node))) is not None:
            if ctx.clock.monotonic() - began >= timeout.total_seconds():
                raise hindrance
            yield Waiting(ctx.poll, f"before the join: {hindrance.brief}", since, since + timeout)
        return {"via": via, "members": str(len(members_seen_by(ctx, via)))}

    def start(self, ctx: Ctx, step: Step, before: Evidence) -> TaskPart:
        joiner, member = ctx.cluster.node(step.node), ctx.cluster.node(self.action.via)
        public = ctx.baselines.get(f"record-settings:{step.node}", {}).get("public_address", "")
        argv = join_argv(joiner, member, self.action, public, "{joiner}")
        control = ctx.fleet.control(self.action.via)
        login = {"joiner": ctx.fleet.control(step.node).login()}
        timeout = ctx.cluster.timeouts.join.total_seconds()
        reply = control.change(*argv, "-y", timeout=timeout, files=login)
        yield Noted(note_refusal(ctx, step, reply, f"cluster fulljoin through {self.action.via}"))

    def look(self, ctx: Ctx, step: Step, before: Evidence) -> LookResult:
        members = members_seen_by(ctx, self.action.via)
        member = member_for(ctx, members, step.node)
        session = ctx.session(step)
        if member is None:
            gone = session.memo.get("seen") == "yes"
            return LookResult(
                LookState.FAILED if gone else LookState.NOT_YET,
                f"{self.action.via} does not list it",
                remedy=_BROKEN,
            )
        session.memo["seen"] = "yes"
        if member.ready:
            return self._ready(ctx, step, member)
        if member.code == "k":
            return LookResult(LookState.FAILED, "the join was killed", remedy=_BROKEN)
        if member.code in JOINING:
            session.memo.pop("down_since", None)
            return LookResult(
                LookState.GOING_ON, f"{member.description or member.code} (30 minutes are usual)"
            )
        return self._down(ctx, step, member)

    def _ready(self, ctx: Ctx, step: Step, member: Member) -> LookResult:
        own = health_of(ctx, step.node)
        problems = list(health.service_problems({step.node: own}))
        if isinstance(own.version, Unknown):
            return LookResult(LookState.GOING_ON, f"ready, but login does not work yet: {own.version.why}")
        if problems:
            return LookResult(LookState.GOING_ON, f"ready, but {problems[0]}")
        return LookResult(
            LookState.DONE,
            evidence={
                "node_id": member.node_id,
                "seen_ready_by": self.action.via,
                "version": str(own.version),
            },
        )

    def _down(self, ctx: Ctx, step: Step, member: Member) -> LookResult:
        memo, now = ctx.session(step).memo, ctx.clock.monotonic()
        since = float(memo.setdefault("down_since", str(now)))
        state = member.description or member.code
        if now - since > min(DOWN_GRACE, ctx.cluster.timeouts.join / 2).total_seconds():
            return LookResult(
                LookState.FAILED,
                f"it has been {state} for {int(now - since) // 60} min in its join",
                remedy=_BROKEN,
            )
        return LookResult(LookState.GOING_ON, f"it is {state} for the moment, which happens in a join")


_BROKEN = "ctmupgrade recover   # removes it from the cluster, resets it, joins it again"
