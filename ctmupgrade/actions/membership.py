"""Removing nodes and unclustering them.

Membership is always decided by *another* member: a removed node looks like a rebooting one, and the id of a
removed node answers with an internal error (docs/appliance.md 6). Long calls may time out although they succeeded, and
``fulljoin`` prints differently in each version: its text is not read, the state is looked at.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from datetime import timedelta

from ctmupgrade.actions.answers import note_refusal, refused
from ctmupgrade.actions.base import Ctx, LookResult, LookState, Moment, Patience, StepHandler, known
from ctmupgrade.actions.health import all_health, caught_up_is_waived, replication_behind
from ctmupgrade.collect.ask import ask
from ctmupgrade.core.checks import health
from ctmupgrade.core.checks.alive import seen_alive_by
from ctmupgrade.core.checks.health import Problem
from ctmupgrade.core.commands import removal_argv
from ctmupgrade.core.go_on import GoOn
from ctmupgrade.core.ksctl import sounds_away, sounds_later
from ctmupgrade.core.looks import ksctl_probes
from ctmupgrade.core.looks.cluster_views import Member, Membership
from ctmupgrade.core.looks.facts import Maybe, Unknown
from ctmupgrade.core.plan.steps import JoinNode, NewCluster, RemoveNode, Step
from ctmupgrade.core.run.journal import Evidence
from ctmupgrade.core.run.note_codes import NoteCode
from ctmupgrade.core.ticks import Noted, TaskPart, Tick, Waiting
from ctmupgrade.errors import InconclusiveError, LoginRefusedError, NodeError

JOINING = frozenset(("creating", "b", "i", "c", "o"))
UNDER_WAY = JOINING | {
    "",
    "m",
}  # "": joined a moment ago and not published yet (seen on 2.21.3 for up to 100 s)
MEMBER = JOINING | {"", "r"}  # who is listed so is in the cluster, or is coming into it
OUT = frozenset(("d", "k", "m", "v"))  # what a node says of itself that others removed, or take for dead
BEHIND = "ksctl cluster summary   # replayLag, catchupInterval, replicationBlocked; wait or find the cause"


def members_seen_by(ctx: Ctx, name: str) -> tuple[Member, ...]:
    """Return a member's list. :raises UnreachableError: it does not answer. :raises NodeError: not understood."""
    return known(ask(ctx.fleet.control(name), ksctl_probes.MEMBERS), f"{name}: its list of members")


def member_for(ctx: Ctx, members: tuple[Member, ...], name: str) -> Member | None:
    """Return the line of a configured node in such a list: by address, never by position."""
    own = ask(ctx.fleet.control(name), ksctl_probes.MEMBERSHIP)
    ids = {} if isinstance(own, Unknown) or not own.node_id else {own.node_id: name}
    return next((m for m in members if health.name_of(m, ids, ctx.cluster) == name), None)


def member_again(
    ctx: Ctx, members: tuple[Member, ...], name: str, node_id: str, own: Membership | None = None
) -> Member | None:
    """Return the line of a node that is a member, under another id than ``node_id``: somebody joined it again.

    :param own: what the node says of itself, where that was asked already; else it is asked only where somebody is
        listed at an address that is nobody's: a node that was removed may not answer for half an hour.
    """
    others = [m for m in members if m.node_id != node_id and m.code in MEMBER]
    at_home = [m for m in others if health.name_at(m.host, ctx.cluster) == name]
    if own is not None:
        at_home += [m for m in others if own.node_id and m.node_id == own.node_id]
    strangers = tuple(m for m in others if not health.name_at(m.host, ctx.cluster))
    if at_home or not strangers:
        return next(iter(at_home), None)
    return member_for(ctx, strangers, name)


def joined_again(step: Step, why: str) -> InconclusiveError:
    """Return the error that a node which this run takes out of the cluster is a member, by somebody else's doing."""
    return InconclusiveError(
        f"{step.id}: {step.node} is a member of a cluster again: {why}", remedy=AGAIN_REMEDY,
        go_on=GoOn.ABORT_AND_RECOVER,
    )  # fmt: skip


AGAIN_REMEDY = "find out who joined it again; this run cannot go on with a plan made before that"
LIVES_REMEDY = (
    "a node that is back stays a member. If it shall go all the same, power it off, and wait until no member lists it as "
    "ready"
)


class RemoveHandler(StepHandler):
    """``cluster nodes delete`` through another member; proven by that member's list."""

    def __init__(self, action: RemoveNode) -> None:
        self.action = action

    def patience(self, ctx: Ctx) -> Patience:
        """Wait ``timeouts.service``; two looks must agree, for a list may lag behind."""
        return Patience(
            ctx.cluster.timeouts.service, looks=2, grace=timedelta(seconds=max(30.0, 3 * ctx.poll))
        )

    def prepare(self, ctx: Ctx, step: Step) -> Generator[Tick, None, Evidence]:
        """Refuse a membership change while another one is under way. A join of the node itself that was ended by its
        reset is shown for a while yet."""
        began, since, patience = ctx.clock.monotonic(), ctx.clock.now(), ctx.cluster.timeouts.service
        while True:
            ctx.looked[step.id] = Moment.of(ctx.clock)
            members = members_seen_by(ctx, self.action.via)
            if again := member_again(ctx, members, step.node, self.action.node_id):
                raise joined_again(step, self._words(again))
            busy, remedy = [m for m in members if m.code in UNDER_WAY], ""
            if busy:
                words = f"{step.id}: {busy[0].host} is {busy[0].state}; only one change at a time"
            elif behind := self._behind(ctx, members):
                words, remedy = f"{step.id}: not removed: {behind}", behind.remedy or BEHIND
            else:
                self._refuse_living(ctx, step)
                return {"id": self.action.node_id, "via": self.action.via, **self._own_id(ctx, step)}
            late = ctx.clock.monotonic() - began >= patience.total_seconds()
            if late or any(m.node_id != self.action.node_id and m.code for m in busy):
                raise NodeError(words, remedy=remedy)
            yield Waiting(ctx.poll, words, since, since + patience)

    def _own_id(self, ctx: Ctx, step: Step) -> Evidence:
        """What the node calls itself before it is removed, where that is another id than its members have: somebody made it a
        cluster of its own before. What an earlier start has seen stays: who joined it since then is told by it."""
        held = ctx.baselines.get(step.id) or ctx.earlier.get(step.id)
        if held or self.action.force:  # who is gone for good is not asked
            return {name: seen for name, seen in (held or {}).items() if name == "own"}
        own = ask(ctx.fleet.control(step.node), ksctl_probes.MEMBERSHIP)
        if isinstance(own, Unknown) or own.node_id in ("", self.action.node_id):
            return {}
        return {"own": own.node_id}

    def _refuse_living(self, ctx: Ctx, step: Step) -> None:
        """Make sure that a node that is removed by force, as gone for good, has not come back since a person said so. It may
        then have data that no other has.

        :raises InconclusiveError: it has.
        """
        if not self.action.force:
            return
        nodes = all_health(ctx)
        own = nodes[step.node].membership
        seen = seen_alive_by(step.node, nodes, ctx.cluster, ctx.clock.now())
        if not isinstance(own, Unknown) and own.clustered:
            why = "it answers again, and reports that it is a member"
        elif seen:
            why = f"{' and '.join(seen)} list{'s' if len(seen) == 1 else ''} it as ready and connected"
        else:
            return
        raise InconclusiveError(
            f"{step.id}: not removed: {why}", remedy=LIVES_REMEDY, go_on=GoOn.ABORT_AND_RECOVER
        )

    def _words(self, member: Member) -> str:
        return f"{self.action.via} lists it as {member.state} with the id {member.node_id}, not {self.action.node_id}"

    def _behind(self, ctx: Ctx, members: tuple[Member, ...]) -> Problem | None:
        """What keeps the node that is to go from being given up: those that stay must hold all that it holds. In a
        recovery a member that is not ready (its own join failed, a person said that it is gone) is no such holder."""
        going = next((m for m in members if m.node_id == self.action.node_id), None)
        rebuilt = any(isinstance(step.action, NewCluster) for step in ctx.plan.steps)
        sound = going is not None and (going.ready or rebuilt)
        if not sound or self.action.force or caught_up_is_waived(ctx):
            return None
        return next(iter(replication_behind(ctx, members)), None)

    def start(self, ctx: Ctx, step: Step, before: Evidence) -> TaskPart:
        """Delete the node through the other member, unless that no longer lists it."""
        if self.look(ctx, step, before).state is LookState.DONE:
            yield Noted(f"{self.action.via} no longer lists it")
            return
        reply = ctx.fleet.control(self.action.via).change(*removal_argv(self.action), "-y")
        yield Noted(note_refusal(ctx, step, reply, f"cluster nodes delete through {self.action.via}"))

    def look(self, ctx: Ctx, step: Step, before: Evidence) -> LookResult:
        """Judge by the other member's list: done when the node is gone from it, by its id then and its id now."""
        members = members_seen_by(ctx, self.action.via)
        there = [m for m in members if m.node_id == self.action.node_id]
        if not there and (again := member_again(ctx, members, step.node, self.action.node_id)):
            return LookResult(
                LookState.UNKNOWN, f"it is a member again: {self._words(again)}", remedy=AGAIN_REMEDY,
                go_on=GoOn.ABORT_AND_RECOVER, final=True,
            )  # fmt: skip
        if not there:
            return LookResult(
                LookState.DONE, evidence={"removed": self.action.node_id, "proven_by": self.action.via}
            )
        so = LookState.GOING_ON if there[0].code in ("m", "v", "k") else LookState.NOT_YET
        return LookResult(so, f"{self.action.via} still lists it as {there[0].state}")


def _apart(own: Membership, removed: str, before: str) -> bool:
    """Whether a removed node may be in a cluster of its own, by its id: it had that one ``before`` its removal, or tells no
    state, as one that left, and one that joined a moment ago."""
    return own.node_id not in ("", removed) and (own.node_id == before or not own.code)


# So often `cluster delete` is sent again where it was answered 200, or put off, and nothing came of it.
AGAIN = 3


@dataclass(slots=True)
class Deletion:
    """What this process knows of the `cluster delete` that it sent last.

    :ivar put_off: it was answered as by a node that does nothing for now; what was said."""

    sent: bool = False
    put_off: str = ""


class DeleteClusterHandler(StepHandler):
    """``cluster delete`` on the node itself, because the procedure says so: a removed node may say at once that it is
    not clustered, and still keep a configuration for which its next join is refused.

    The answer proves nothing. The call removes only the last node of a cluster and answers 200 all the same, and it
    may never answer although it succeeded (vendor's Terraform provider, pull 525). What proves it is what the node
    itself says afterwards.
    """

    def __init__(self) -> None:
        self.answered = 0  # so often this process was answered 200
        self.put_off = 0  # and so often that the node does nothing for now

    def patience(self, ctx: Ctx) -> Patience:
        """Wait twice ``timeouts.service``, for logins may fail twice for long; two looks must agree."""
        # After the removal and after the deletion its logins may fail for up to half an hour each (docs/appliance.md 6).
        service = ctx.cluster.timeouts.service
        grace = timedelta(seconds=max(60.0, 3 * ctx.poll))
        return Patience(2 * service, looks=2, grace=min(grace, service / 4))

    def prepare(self, ctx: Ctx, step: Step) -> Generator[Tick, None, Evidence]:
        """Make sure that nobody else is left in its cluster, unless another member removed it from there."""
        began, since, patience = ctx.clock.monotonic(), ctx.clock.now(), ctx.cluster.timeouts.service
        while others := self._others(ctx, step):
            hosts = ", ".join(m.host or m.node_id for m in others)
            words = f"{step.id}: it still lists {hosts}; `cluster delete` removes only the last node"
            if ctx.clock.monotonic() - began >= patience.total_seconds():
                ready = any(
                    m.ready for m in others
                )  # it does not leave by itself, and no resume changes that
                remedy = f"ksctl cluster nodes list   # on {step.node}"
                raise NodeError(words, remedy=remedy, go_on=GoOn.ABORT_AND_RECOVER if ready else None)
            yield Waiting(ctx.poll, words, since, since + patience)
        return {}

    def _others(self, ctx: Ctx, step: Step) -> list[Member]:
        """The other members; a removed node may keep a list of its own, which says nothing: its remover's counts.

        :raises NotToldError: who is in its cluster is not told. Not known is not nobody.
        """
        own = ask(ctx.fleet.control(step.node), ksctl_probes.MEMBERSHIP)
        for removed in ctx.plan.steps:
            if removed.node == step.node and isinstance(removed.action, RemoveNode):
                before = ctx.baselines.get(removed.id, {}).get("own", "")
                self._refuse_member(ctx, step, own, removed.action, before)
                if isinstance(own, Unknown) or not _apart(own, removed.action.node_id, before):
                    return []
        told = known(own, f"{step.node}: its cluster state")
        return self._listed(ctx, step, told) if told.clustered else []

    def _listed(self, ctx: Ctx, step: Step, own: Membership) -> list[Member]:
        """The other members of its cluster, as it lists them itself. A node that others removed may never tell: then as the
        member lists them that it will join, where that lists it."""
        members = ask(ctx.fleet.control(step.node), ksctl_probes.MEMBERS)
        joins = (s.action for s in ctx.plan.steps if s.node == step.node)
        via = next((action.via for action in joins if isinstance(action, JoinNode)), "")
        if not isinstance(members, Unknown) or members.host_key or own.code not in OUT or not via:
            return [m for m in known(members, f"{step.node}: its list of members") if not m.is_this]
        listed = members_seen_by(ctx, via)
        its = [
            m for m in listed if m.node_id == own.node_id or health.name_at(m.host, ctx.cluster) == step.node
        ]
        return [m for m in listed if m not in its] if its else []

    def _refuse_member(
        self, ctx: Ctx, step: Step, own: Maybe[Membership], removal: RemoveNode, before: str
    ) -> None:
        """Make sure that a node that was removed was not joined again since, to that cluster or another: `cluster delete`
        would then be sent to a living member.

        :param before: the other id that it had already when it was removed; "": none, or not told.
        :raises InconclusiveError: it was.
        """
        if isinstance(own, Unknown):
            # After a removal its logins fail, or it does not answer, for long: then nothing reaches it, and what its
            # remover lists is the proof anyway.
            if not (own.later or own.login or (own.unreachable and not own.host_key)):
                known(own, f"{step.node}: its cluster state")
            told = None
        else:
            told = own
            if not own.left and own.node_id not in (removal.node_id, before) and own.code in MEMBER:
                raise joined_again(step, f"it has the id {own.node_id} now, not {removal.node_id}")
        members = members_seen_by(ctx, removal.via)
        still = next((m for m in members if m.node_id == removal.node_id and m.ready), None)
        if member := still or member_again(ctx, members, step.node, removal.node_id, told):
            raise joined_again(step, f"{removal.via} lists it as {member.state}")

    def start(self, ctx: Ctx, step: Step, before: Evidence) -> TaskPart:
        """Send ``cluster delete``, whose answer proves nothing.

        :raises LoginRefusedError: nothing was sent.
        """
        session = ctx.session(step)
        session.own(Deletion).sent = True  # an answer that never comes is no rarity here: it counts as sent
        try:
            reply = ctx.fleet.control(step.node).change("cluster", "delete", "-y")
        except LoginRefusedError:
            session.own(Deletion).sent = False
            raise
        said, words = refused(reply), note_refusal(ctx, step, reply, "cluster delete")
        yield Noted(words, NoteCode.NONE if said else NoteCode.ORDER_TAKEN)
        if said and sounds_later(said.said) and not sounds_away(said.said) and self.put_off < AGAIN:
            self.put_off += 1
            session.own(Deletion).put_off = said.words
        if not session.unsure and not session.refused:  # an answer of 200 is no proof: see above
            self.answered += 1
            session.unsure = self.answered <= AGAIN

    def look(self, ctx: Ctx, step: Step, before: Evidence) -> LookResult:
        """Ask the node itself: done when it says that it is in no cluster."""
        taken = NoteCode.ORDER_TAKEN in ctx.last_noted.get(step.id, ())  # by one who died, or gave up
        if not (ctx.session(step).own(Deletion).sent or taken):
            return LookResult(
                LookState.NOT_YET,
                "whether its configuration was deleted is not known; it is safe to delete it again",
            )
        own = known(
            ask(ctx.fleet.control(step.node), ksctl_probes.MEMBERSHIP), f"{step.node}: its cluster state"
        )
        if not own.left:
            return LookResult(
                LookState.NOT_YET,
                f"it still reports {own.code or 'that it is a member'}",
                remedy=f"ksctl cluster delete -y   # on {step.node}, until ksctl cluster info there says none; if it never does, ask vendor support",
            )
        if put_off := ctx.session(step).own(Deletion).put_off:
            return LookResult(LookState.NOT_YET, f"it is in no cluster, but put the deletion off: {put_off}")
        return LookResult(LookState.DONE, evidence={"cluster": "none"})
