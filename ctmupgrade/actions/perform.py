"""Performing an action, fresh or taken up from a process that died: the one place for patience.

What is transient (no answer, a lost connection) is looked at again until a time-out; what is a verdict ends
the step at once; what stays unknown is for a person. Nothing is started twice unless looks have shown, for
long enough, that it did not happen.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from datetime import timedelta

from ctmupgrade.actions.base import Ctx, LookResult, LookState, Moment, Patience, StepHandler
from ctmupgrade.actions.deadline import Deadline
from ctmupgrade.actions.interlocks import refuse_unsafe
from ctmupgrade.core.plan.steps import Step
from ctmupgrade.core.run.journal import Evidence
from ctmupgrade.core.run.note_codes import NoteCode
from ctmupgrade.core.run.step_state import BEGUN
from ctmupgrade.core.ticks import Noted, Started, Task, TaskPart, Tick, Waiting
from ctmupgrade.core.timing import clock_time
from ctmupgrade.errors import (
    UNFORESEEN,
    BlockedError,
    ConnectionLostError,
    CtmUpgradeError,
    HostKeyError,
    InconclusiveError,
    LoginRefusedError,
    NodeError,
    NotToldError,
    NotYetError,
    RefusedError,
    UnreachableError,
    named,
)

# The first node locks the database for under 30 s (vendor page "Clusters and Nodes"); services start in minutes.
NOT_TOLD = timedelta(minutes=5)
YOUNG_S = 60.0  # so old the last look before an act may be when the act begins


def perform(ctx: Ctx, handler: StepHandler, step: Step, before: Evidence | None) -> Task:
    """Do a step, or (``before`` given) go on with one that was started by whoever died.

    :returns: the evidence of its being done.
    """
    if before is None:
        before = yield from _started(ctx, handler, step)
    else:
        ctx.baselines[step.id] = before
        ctx.earlier[step.id] = before or ctx.earlier.get(step.id) or BEGUN
        seen = yield from _settled_look(ctx, handler, step, before)
        if seen.state is LookState.NOT_YET:
            yield Noted(f"it was not done before ({seen.detail or 'as the node shows'}); starting it")
            before = yield from _started(ctx, handler, step)
        elif seen.state is LookState.UNKNOWN:
            raise InconclusiveError(
                f"{step.id}: whether it was done is not known: {seen.detail}",
                remedy=seen.remedy or f"check {step.node or 'the cause'}",
                go_on=seen.go_on,
            )
    return (yield from _until_done(ctx, handler, step, before))


def _prepared(ctx: Ctx, handler: StepHandler, step: Step) -> Task:
    """The looks before the act. While nothing answers they are made again: looking twice is safe. So they are, for
    less long, while something answers and does not tell."""
    deadline = Deadline(ctx)
    ceiling = min(ctx.cluster.timeouts.service, handler.patience(ctx).timeout)
    while True:
        deadline.look()
        try:
            refuse_unsafe(ctx, step)
            with _foreseen(step):
                return (yield from handler.prepare(ctx, step))
        except HostKeyError:
            raise
        except NotToldError as error:
            limit = ceiling if isinstance(error, NotYetError) else min(ceiling, NOT_TOLD)
            if deadline.over(limit):
                raise
            yield Waiting(ctx.poll, f"before {step.id}: {error.brief}", deadline.since, deadline.until(limit))
        except (UnreachableError, ConnectionLostError) as error:
            if deadline.over(ceiling, since=-1.0):
                remedy = error.remedy or f"bring {step.node or 'the node'} back"
                text = f"{step.id}: not started: {error.brief}"
                raise UnreachableError(text, remedy=remedy, go_on=error.go_on) from error
            yield Waiting(
                ctx.poll, f"before {step.id}: {error.brief}", deadline.since, deadline.until(ceiling)
            )


@contextmanager
def _foreseen(step: Step) -> Iterator[None]:
    """What an answer raises that no parser foresaw is an answer that does not tell.

    :raises NotToldError: that.
    """
    try:
        yield
    except UNFORESEEN as error:
        raise NotToldError(f"{step.node or step.id}: an answer is not understood ({named(error)})") from error


def _started(ctx: Ctx, handler: StepHandler, step: Step) -> Task:
    """Prepares, says so in the journal, and starts. A start that did not happen goes through it again: what
    was seen before it (that all are well, that nothing else runs) has aged since."""
    fastest = math.inf
    while True:
        ctx.looked.pop(step.id, None)
        yield from _interlocked(ctx, step)
        before = yield from _prepared(ctx, handler, step)
        looked = ctx.looked.get(step.id) or Moment.of(ctx.clock)
        young = YOUNG_S if fastest == math.inf else max(YOUNG_S, 2 * fastest)
        fastest = min(fastest, looked.age(ctx.clock))
        yield Started(before)
        ctx.baselines[step.id] = before
        ctx.noted.pop(step.id, None)
        ctx.last_noted.pop(step.id, None)
        ctx.sessions.pop(step.id, None)
        session = ctx.session(step)
        session.looked, session.young_s = looked, young
        if not session.aged(ctx.clock):
            yield from _begin(ctx, handler, step, before)
        if not session.stale:
            return before
        yield Noted(
            f"what was seen before it is {clock_time(round(looked.age(ctx.clock)))} old (was this machine asleep?); checking again"
        )


def _interlocked(ctx: Ctx, step: Step) -> TaskPart:
    """Waits for proofs that are under way in this process. :raises BlockedError: one is missing."""
    since = ctx.clock.now()
    while held := ctx.interlock(step):
        if not held.passing:
            raise BlockedError(held.why, remedy=held.remedy, go_on=held.go_on)
        yield Waiting(ctx.poll, held.why, since, since + ctx.cluster.timeouts.service)


def _begin(ctx: Ctx, handler: StepHandler, step: Step, before: Evidence) -> TaskPart:
    ctx.anchor(step)
    began = ctx.clock.monotonic()
    try:
        yield from handler.start(ctx, step, before)
    except LoginRefusedError as refused:
        session = ctx.session(step)
        session.unsure, session.said, session.refused_at = True, refused.brief, began
        yield Noted(f"not sent: {refused.brief}", NoteCode.NOT_SENT)
    except UNFORESEEN as error:
        ctx.session(step).unsure = True
        yield Noted(
            f"an answer was not understood while starting it ({named(error)}); looking whether it happened"
        )
    except ConnectionLostError as lost:
        ctx.session(step).unsure = True
        yield Noted(handler.lost_words or f"no answer to it ({lost.brief}); checking whether it was done")
    except UnreachableError as gone:
        if isinstance(gone, HostKeyError):
            raise
        ctx.session(step).unsure = True
        yield Noted(f"no connection to start it ({gone.brief})", NoteCode.NOT_SENT)


def careful_look(ctx: Ctx, handler: StepHandler, step: Step, before: Evidence) -> LookResult:
    """Return a look in which a lost connection is UNKNOWN, never FAILED; and so is, for less long, an answer that does not
    tell. A wrong host key is for a person."""
    session = ctx.session(step)
    try:
        with _foreseen(step):
            seen = handler.look(ctx, step, before)
    except HostKeyError:
        raise
    except NotYetError as error:
        return _unknown(error, untold=True)
    except NotToldError as error:
        now = ctx.clock.monotonic()
        session.untold_at = now if session.untold_at < 0 else session.untold_at
        if now - session.untold_at >= min(NOT_TOLD, handler.patience(ctx).timeout).total_seconds():
            raise
        return _unknown(error, untold=True)
    except (UnreachableError, ConnectionLostError) as error:
        return _unknown(error, unreachable=True)
    session.untold_at = -1.0
    if seen.seen or seen.state is LookState.DONE:
        session.seen = seen.seen
    return seen


def _unknown(error: CtmUpgradeError, *, untold: bool = False, unreachable: bool = False) -> LookResult:
    return LookResult(
        LookState.UNKNOWN, error.brief, remedy=error.remedy, go_on=error.go_on,
        untold=untold, unreachable=unreachable,
    )  # fmt: skip


def _settled_look(
    ctx: Ctx, handler: StepHandler, step: Step, before: Evidence
) -> Generator[Tick, None, LookResult]:
    """Looks until the answer can be believed: NOT_YET and UNKNOWN must last for the grace."""
    patience = handler.patience(ctx)
    deadline, grace = Deadline(ctx), timedelta(seconds=_grace(ctx, patience))
    seen = careful_look(ctx, handler, step, before)
    while seen.state in (LookState.NOT_YET, LookState.UNKNOWN):
        if seen.note:
            yield seen.note
        limit = patience.timeout if seen.unreachable or seen.untold else grace
        if deadline.over(limit, since=_lacks_since(ctx, step, seen)):
            if seen.unreachable:
                raise UnreachableError(
                    f"{step.node or step.id}: {seen.detail}", remedy=seen.remedy, go_on=seen.go_on
                )
            return seen
        words = f"checking whether it was done: {seen.detail}"
        yield Waiting(ctx.poll, words, deadline.since, deadline.until(limit))
        deadline.look()
        seen = careful_look(ctx, handler, step, before)
    return seen


def _lacks_since(ctx: Ctx, step: Step, seen: LookResult) -> float:
    """Since when a login that was refused may be all that keeps the step from its end, by the monotonic clock: 0 is in the look
    itself, -1 is never. NOT_YET of what was sent is known without a login."""
    if seen.state is LookState.NOT_YET:
        return ctx.session(step).refused_at
    return -1.0 if seen.unreachable else 0.0


def _until_done(ctx: Ctx, handler: StepHandler, step: Step, before: Evidence) -> Task:
    patience, deadline = handler.patience(ctx), Deadline(ctx)
    good, good_since, not_yet_since, starts = 0, 0.0, -1.0, 1
    while True:
        deadline.look()
        seen = careful_look(ctx, handler, step, before)
        if seen.note:
            yield seen.note
        now = ctx.clock.monotonic()
        if seen.state is LookState.DONE:
            good_since = now if good == 0 else good_since
            good += 1
            if good >= patience.looks and now - good_since >= patience.steady.total_seconds():
                return seen.evidence
        else:
            good = 0
        if seen.state is LookState.FAILED:
            raise NodeError(f"{step.id}: {seen.detail}", remedy=seen.remedy, go_on=seen.go_on)
        if seen.state is LookState.UNKNOWN and seen.final:
            raise InconclusiveError(f"{step.id}: {seen.detail}", remedy=seen.remedy, go_on=seen.go_on)
        not_yet_since = _since_when(seen, not_yet_since, now)
        _give_up_refused(ctx, step, seen, patience, not_yet_since)
        if starts != patience.starts and _never_arrived(ctx, step, patience, not_yet_since):
            yield Noted(f"nothing came of it ({seen.detail or 'as the node shows'}); starting it again")
            not_yet_since, starts, unsent = -1.0, starts + 1, ctx.session(step).refused_at >= 0
            before = yield from _started(ctx, handler, step)
            if unsent and ctx.session(step).refused_at < 0:
                deadline.renew()  # for what was not sent there was nothing to wait for
        # good looks may go on to their end
        if not good and deadline.over(patience.timeout, since=_lacks_since(ctx, step, seen)):
            raise _too_late(ctx, step, seen, deadline.until(patience.timeout) - deadline.since)
        until = deadline.until(patience.timeout)
        words = seen.detail or _so_far(patience, now - good_since)
        gist = seen.gist or ("" if seen.detail else "healthy")
        pause = max(ctx.poll, (patience.apart if good else patience.waits).total_seconds())
        yield Waiting(pause, words, deadline.since, until, gist)


def _so_far(patience: Patience, good_s: float) -> str:
    """What is waited for while every look is good."""
    needed = patience.steady.total_seconds()
    if not needed:
        return "healthy; checking once more"
    return f"healthy; for {clock_time(round(good_s))} so far, {clock_time(round(needed))} without a break are needed"


def _since_when(seen: LookResult, since: float, now: float) -> float:
    """Since when the look has been NOT_YET without a break; -1 where it is not."""
    if seen.state is not LookState.NOT_YET:
        return -1.0
    return now if since < 0 else since


def _never_arrived(ctx: Ctx, step: Step, patience: Patience, since: float) -> bool:
    """The start was lost on its way, and the node has shown for long enough that nothing happened."""
    waited = ctx.clock.monotonic() - since
    return ctx.session(step).unsure and since >= 0 and waited >= _grace(ctx, patience)


def _grace(ctx: Ctx, patience: Patience) -> float:
    """For how many seconds a NOT_YET is not believed: at most half of the time-out, so that what did not reach the node
    can be started again, where an operator has made the time-outs short."""
    seconds = min(patience.grace.total_seconds(), patience.timeout.total_seconds() / 2)
    return max(seconds, 2 * ctx.poll)


def _give_up_refused(ctx: Ctx, step: Step, seen: LookResult, patience: Patience, since: float) -> None:
    """A start that was refused and left no trace has failed; there is nothing to wait for. Where it is only likely
    that it was refused, looks must show for a while that nothing comes of it."""
    session = ctx.session(step)
    if not session.refused:
        return
    lasting = since >= 0 and ctx.clock.monotonic() - since >= _grace(ctx, patience)
    unseen = seen.state is LookState.UNKNOWN and not (seen.unreachable or seen.untold)
    if lasting or (session.definite and (since >= 0 or unseen)):
        kind = RefusedError if session.definite and since >= 0 else NodeError
        raise kind(f"{step.id}: {session.refused}", details=seen.detail, remedy=seen.remedy, go_on=seen.go_on)


def _too_late(ctx: Ctx, step: Step, seen: LookResult, lasted: timedelta) -> Exception:
    waited = clock_time(round(lasted.total_seconds()))
    text = f"{step.id}: gave up after {waited}. Last state: {seen.detail or seen.state.value}"
    if refused := ctx.session(step).refused:
        text = f"{step.id}: {refused}. Last state after {waited}: {seen.detail or seen.state.value}"
    elif said := ctx.session(step).said:
        text += f". The answer was: {said}"
    remedy = seen.remedy or f"check {step.node or 'the cause'}"
    if seen.unreachable:
        return UnreachableError(text, remedy=seen.remedy or f"bring {step.node} back", go_on=seen.go_on)
    if seen.state is LookState.UNKNOWN and not seen.untold:
        return InconclusiveError(text, remedy=remedy, go_on=seen.go_on)
    return NodeError(text, remedy=remedy, go_on=seen.go_on)


def of_this_machine(step: str, error: OSError) -> NodeError:
    """Return the failure of a step for an error of this machine. A full disk or a folder that takes no file is no bug:
    it is fixed here, and then the step is done again."""
    place = f"{error.filename}: " if error.filename else ""
    return NodeError(
        f"{step}: error on this machine: {place}{error.strerror or error}",
        remedy="make space, or fix the folder's permissions, on this machine (df, ls -ld)",
    )
