"""Joining a node: when it may be asked for, that it is asked for once, and how it ends.

``fulljoin`` prints differently in each version: its text is not read, the member that lets it in is looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator
from dataclasses import dataclass
from datetime import timedelta

from ctmupgrade.actions.answers import Refusal, note_refusal, refused
from ctmupgrade.actions.base import Ctx, LookResult, LookState, Patience, StepHandler, known
from ctmupgrade.actions.begun import emptied
from ctmupgrade.actions.deadline import Deadline
from ctmupgrade.actions.health import health_of
from ctmupgrade.actions.membership import JOINING, member_for, members_seen_by
from ctmupgrade.actions.settings import recorded
from ctmupgrade.actions.waits import refuse_host_keys
from ctmupgrade.collect.ask import ask
from ctmupgrade.collect.settings import passes_by_itself, read_settings
from ctmupgrade.core.checks import health
from ctmupgrade.core.commands import join_argv
from ctmupgrade.core.go_on import GoOn
from ctmupgrade.core.ksctl import names_left_configuration
from ctmupgrade.core.looks import ksctl_probes
from ctmupgrade.core.looks.cluster_views import Member
from ctmupgrade.core.looks.facts import Unknown
from ctmupgrade.core.node_settings import COUNTS, counts_of, half_lost, look_again
from ctmupgrade.core.plan.restore_actions import RestoreBackup
from ctmupgrade.core.plan.steps import JoinNode, Step
from ctmupgrade.core.run.journal import Evidence
from ctmupgrade.core.ticks import Noted, TaskPart, Tick, Waiting
from ctmupgrade.errors import CtmUpgradeError, InconclusiveError, NodeError, NotYetError, UnreachableError

CLEARINGS = 3  # `cluster delete` may answer 200 and do nothing (docs/appliance.md 6): so often it is tried before a join
STEADY_LOOKS = 3  # as many good looks in a row as a node needs to count as back
DOWN_GRACE = timedelta(
    minutes=10
)  # `down` may appear for a short time in a join; only a lasting one is failure


def join_hindrance(ctx: Ctx, step: Step, via: str, *, up: Collection[str]) -> CtmUpgradeError | None:
    """Return why a node cannot be joined now, though perhaps soon.

    :param up: those of the two whose services must be up.
    :raises NodeError: the versions differ. :raises HostKeyError: a host key has changed.
    """
    both = {name: health_of(ctx, name) for name in (via, step.node)}
    refuse_host_keys(both)
    problem = next(iter(health.service_problems({n: f for n, f in both.items() if n in up})), None)
    if problem is not None:
        kind = UnreachableError if problem.unreachable else NodeError
        remedy = f"start the services of {problem.node}"
        return kind(f"{step.id}: not started: {problem}", remedy=remedy)
    versions = {n: known(f.version, f"{n}: its version") for n, f in both.items()}
    if versions[via].identity != versions[step.node].identity:
        raise NodeError(
            f"{step.id}: not started: versions differ: {via} {versions[via]}, {step.node} {versions[step.node]}"
        )
    busy = [m for m in members_seen_by(ctx, via) if not m.ready]
    if busy:
        return NodeError(f"{step.id}: {busy[0].host} is {busy[0].state}; only one join at a time")
    return None


def refuse_lost_data(ctx: Ctx, step: Step, via: str) -> None:
    """Make sure that a node is erased for a cluster that has the data: at least half of the keys and users that were recorded.
    Clients go on making and destroying them; one that was reset has none. What was not recorded, or is not told, is not
    compared.

    :raises InconclusiveError: the member that lets it in has lost more.
    """
    wanted = counts_of(recorded(ctx, via))
    if not wanted:
        return
    lost = half_lost(wanted, _counts(ctx, step, via, wanted))
    if lost:
        raise InconclusiveError(
            f"{step.id}: not started: {via} has {', '.join(lost)}, so {step.node} may be the only one that has the others",
            remedy=_what_happened(ctx, step, via),
            go_on=GoOn.RETRY_WHEN_BACK,
        )


def refuse_richer(ctx: Ctx, step: Step, via: str) -> None:
    """Make sure, by what both tell now, that a node is not erased for one that has less than half of its keys or users: the
    plan was made some time ago, and in a recovery nothing was recorded of that one. What is not told is not compared.

    :raises InconclusiveError: the node has so many more, and no person gave them up.
    """
    if step.node in ctx.plan.given_up:
        return
    # What hangs in a join, or was erased already, may never tell, and has nothing to lose.
    may_be_empty = step.node in ctx.plan.without_data or step.node in emptied(ctx)
    own = _counts(ctx, step, step.node, COUNTS, waits=not may_be_empty)
    lost = half_lost(own, _counts(ctx, step, via, own)) if own else ()
    if lost:
        raise InconclusiveError(
            f"{step.id}: not started: {via} has {', '.join(lost)} that {step.node} has, so {step.node} may be the only one "
            "that has the others",
            remedy=_what_happened(ctx, step, via),
            go_on=GoOn.RETRY_WHEN_BACK,
        )


def _counts(ctx: Ctx, step: Step, name: str, only: Collection[str], *, waits: bool = True) -> dict[str, int]:
    """How many of these a node tells now to have. What it never tells is left out.

    :raises NotYetError: it ``waits``, and one of them is not told for a reason that passes by itself: a comparison that is
        left out for that would let the last copy be erased.
    """
    told = read_settings(ctx.fleet.control(name), tuple(only))
    passing = [what for what, answer in told.items() if passes_by_itself(answer)]
    if passing and waits:
        raise NotYetError(
            f"not started: {name} does not tell now how many {' and '.join(passing)} it has",
            remedy=f"{look_again(passing[0])}   # on {name}; {step.node} keeps its data until then",
        )
    return counts_of(told)


def _what_happened(ctx: Ctx, step: Step, via: str) -> str:
    """What a person does about a member that has lost so much. A restore, and a new instance, have no other way back."""
    found = (
        f"find out what happened to {via}: ksctl keys list   # on it; {step.node} keeps its data until then"
    )
    restores = any(isinstance(s.action, RestoreBackup) for s in ctx.plan.steps)
    if restores or step.node in {node.name for node in ctx.cluster.fresh}:
        return found
    return f"{found}\nif the keys of {step.node} are not needed, this shows how to give them up: ctmupgrade recover"


def wait_until_steady(
    ctx: Ctx, hindrance: Callable[[], CtmUpgradeError | None], what: str
) -> Generator[Tick, None, None]:
    """Wait until nothing hinders, several looks in a row and for ``stable_for``: services go back to error and
    starting for minutes after the first `started`, and a join meanwhile fails (docs/appliance.md 4.2).

    :raises CtmUpgradeError: what hindered last, after ``timeouts.service``.
    """
    deadline, timeout = Deadline(ctx), ctx.cluster.timeouts.service
    good, good_since = 0, ctx.clock.monotonic()
    while True:
        deadline.look()
        problem = hindrance()
        now = ctx.clock.monotonic()
        good, good_since = (0, now) if problem else (good + 1, good_since if good else now)
        if good >= STEADY_LOOKS and now - good_since >= ctx.cluster.stable_for.total_seconds():
            return
        if problem and deadline.over(timeout):
            raise problem
        words = (
            problem.brief if problem else f"its services are started, for {round(now - good_since)} s so far"
        )
        yield Waiting(ctx.poll, f"{what}: {words}", deadline.since, deadline.until(timeout))


@dataclass(slots=True)
class Joining:
    """What looks at a join remember.

    :ivar seen: the member has listed the joiner. :ivar down_since: it shows it down, by the monotonic clock."""

    seen: bool = False
    down_since: float | None = None


class JoinHandler(StepHandler):
    """``fulljoin`` through a member; done when that member shows the joiner ready, several looks in a row."""

    def __init__(self, action: JoinNode) -> None:
        self.action = action

    def patience(self, ctx: Ctx) -> Patience:
        """Wait ``timeouts.join``; a joiner that is ready must be so in three looks, for services go up and down."""
        return Patience(ctx.cluster.timeouts.join, looks=3, grace=timedelta(seconds=max(60.0, 3 * ctx.poll)))

    def prepare(self, ctx: Ctx, step: Step) -> Generator[Tick, None, Evidence]:
        """Make sure of equal versions, services up on both, and no other join or removal under way. What passes by itself, a
        node that boots or a member that settles, is waited for."""
        via = self.action.via
        yield from wait_until_steady(
            ctx, lambda: join_hindrance(ctx, step, via, up=(via, step.node)), "before the join"
        )
        refuse_lost_data(ctx, step, via)
        refuse_richer(ctx, step, via)
        return {"via": via, "members": str(len(members_seen_by(ctx, via)))}

    def start(self, ctx: Ctx, step: Step, before: Evidence) -> TaskPart:
        """Ask for the join; where it is refused for what an earlier cluster left on the node, clear that and ask again."""
        said, session = (yield from self._send(ctx, step)), ctx.session(step)
        for _ in range(CLEARINGS):
            left = bool(session.refused) and said is not None and names_left_configuration(said.said)
            if not left or not self._may_clear(ctx, step):
                return
            yield Noted(
                f"{step.node} still has the configuration of a cluster; deleting it, then starting the join again"
            )
            yield from self._clear(ctx, step)
            session.refused, session.definite = "", False
            said = yield from self._send(ctx, step)

    def _send(self, ctx: Ctx, step: Step) -> Generator[Tick, None, Refusal | None]:
        """Asks the member for the join; returns the error that it answers, None where it is none."""
        joiner, member = ctx.cluster.node(step.node), ctx.cluster.node(self.action.via)
        public = ctx.recorded(step.node).get("public_address", "")
        argv = join_argv(joiner, member, self.action, public, "{joiner}")
        control = ctx.fleet.control(self.action.via)
        timeout = ctx.cluster.timeouts.join.total_seconds()
        with ctx.fleet.control(step.node).login() as login:
            reply = control.change(*argv, "-y", timeout=timeout, files={"joiner": login})
        yield Noted(note_refusal(ctx, step, reply, f"cluster fulljoin through {self.action.via}"))
        return refused(reply)

    def _may_clear(self, ctx: Ctx, step: Step) -> bool:
        """Whether the refusal is about what was left on the joiner: the member does not list it, and it does not call
        itself a member of anything. A new instance that is in some cluster is for a person."""
        if step.node in {node.name for node in ctx.cluster.fresh}:
            return False
        own = known(
            ask(ctx.fleet.control(step.node), ksctl_probes.MEMBERSHIP), f"{step.node}: its cluster state"
        )
        listed = member_for(ctx, members_seen_by(ctx, self.action.via), step.node)
        return listed is None and (own.left or own.code in ("d", "k", "m", "v"))

    def _clear(self, ctx: Ctx, step: Step) -> TaskPart:
        """``cluster delete`` on the joiner, until it says that it is in no cluster and its services are up again."""
        reply = ctx.fleet.control(step.node).change("cluster", "delete", "-y")
        said = refused(reply)
        yield Noted(f"cluster delete sent{f': {said.words}' if said else ''}")

        def hindrance() -> CtmUpgradeError | None:
            own = ask(ctx.fleet.control(step.node), ksctl_probes.MEMBERSHIP)
            if isinstance(own, Unknown):
                return NodeError(f"{step.node}: its cluster state is not known: {own.why}")
            if not own.left:
                return NodeError(f"{step.node}: it still reports {own.code or 'that it is a member'}")
            return join_hindrance(ctx, step, self.action.via, up=(self.action.via, step.node))

        yield from wait_until_steady(ctx, hindrance, "before the join is started again")

    def look(self, ctx: Ctx, step: Step, before: Evidence) -> LookResult:
        """Judge by the member that lets it in: done when it is ready there and its own services are started.

        :raises UnreachableError: the member does not answer.
        """
        members = members_seen_by(ctx, self.action.via)
        member = member_for(ctx, members, step.node)
        session = ctx.session(step)
        if member is None:
            if not session.own(Joining).seen:
                return LookResult(LookState.NOT_YET, f"{self.action.via} does not list it")
            said = _cluster_errors(ctx, self.action.via)
            return _broken(f"{self.action.via} no longer lists it{said}")
        session.own(Joining).seen = True
        if member.ready:
            return self._ready(ctx, step, member)
        if member.code == "k":
            said = _cluster_errors(ctx, self.action.via)
            return _broken(f"its join failed (killed){said}")
        if member.code in JOINING or not member.code:
            session.own(Joining).down_since = None
            return LookResult(
                LookState.GOING_ON, f"{member.state} (a join usually takes 30 minutes)", remedy=STILL_JOINING
            )
        return self._down(ctx, step, member)

    def _ready(self, ctx: Ctx, step: Step, member: Member) -> LookResult:
        own = health_of(ctx, step.node)
        problems = list(health.service_problems({step.node: own}))
        if isinstance(own.version, Unknown):
            return LookResult(LookState.GOING_ON, f"ready, but login does not work yet: {own.version.words}")
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
        own, now = ctx.session(step).own(Joining), ctx.clock.monotonic()
        since = own.down_since = now if own.down_since is None else own.down_since
        state = member.state
        if now - since > min(DOWN_GRACE, ctx.cluster.timeouts.join / 2).total_seconds():
            return _broken(f"it has been {state} for {int(now - since) // 60} min in its join")
        return LookResult(LookState.GOING_ON, f"it is {state} for the moment, which is normal in a join")


STILL_JOINING = (
    "the join may still end by itself, and a resume waits again; recover tells how to end one that hangs"
)


def _cluster_errors(ctx: Ctx, via: str) -> str:
    """What the member says of why, in words to be added; "" where it says nothing."""
    errors = ask(ctx.fleet.control(via), ksctl_probes.CLUSTER_ERRORS)
    return "" if isinstance(errors, Unknown) or not errors else f"; {via} reports: {errors[-1]}"


def _broken(detail: str) -> LookResult:
    return LookResult(
        LookState.FAILED,
        detail,
        remedy="it must be removed from the cluster, reset, and joined again: recover does that",
        go_on=GoOn.RECOVER,
    )
