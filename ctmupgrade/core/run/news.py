"""What people far away are told of a run: its start and end, each node that is done, and whatever needs a person."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from ctmupgrade.core.clean_text import one_line
from ctmupgrade.core.plan.step_words import after_step, node_list
from ctmupgrade.core.plan.steps import changes_node
from ctmupgrade.core.redact import foreign
from ctmupgrade.core.run.events import (
    Event,
    RunEnded,
    RunPaused,
    RunResumed,
    RunStarted,
    RunTakenOver,
    StepFailed,
)
from ctmupgrade.core.run.journal import RunState
from ctmupgrade.core.run.kinds import kind_of, title_of
from ctmupgrade.core.run.remaining import versions
from ctmupgrade.core.run.report import node_state
from ctmupgrade.core.run.seen_versions import version_after
from ctmupgrade.core.timing import clock_time

_LONGEST = 500  # characters of a line


class NewsKind(StrEnum):
    """What happened, in one word (docs/notifications.md)."""

    START = "start"
    NODE_DONE = "node-done"
    QUESTION = "question"
    PAUSE = "pause"
    FAILURE = "failure"
    END = "end"
    TEST = "test"


@dataclass(frozen=True, slots=True)
class News:
    """Something that somebody is told; cleaned and without secrets, for any output to escape.

    :ivar title: one line that says all. :ivar lines: what is worth knowing besides, what to do last.
    :ivar what: what the run is for, a RunKind; "" where there is no run. So are ``run``, ``state`` and ``by``.
    :ivar node: "" where it concerns the whole run. :ivar exit_code: of a run that stops; -1: it does not.
    """

    kind: NewsKind
    at: datetime
    cluster: str
    title: str
    lines: tuple[str, ...] = ()
    run: str = ""
    what: str = ""
    node: str = ""
    state: str = ""
    outcome: str = ""
    exit_code: int = -1
    by: str = ""


def news_of(event: Event, before: RunState | None, after: RunState, previous: Event | None) -> News | None:
    """Return what is told of an event; None where nobody far away needs to know it.

    :param before: the run's state before it; None: it is the first that this process sees.
    :param previous: the event before it.
    """
    match event:
        case RunStarted():
            return _started(after)
        case RunResumed(by=by):
            return _made(NewsKind.START, after, f"resumed by {by}", (f"on {versions(after)}",))
        case RunTakenOver(by=by):
            return _made(NewsKind.START, after, f"taken over by {by}", (f"on {versions(after)}",))
        case StepFailed():
            return _failed(event, after)
        case RunPaused(why=why, code=code):
            if isinstance(previous, StepFailed) and after.paused_by:
                return None  # why it stopped was told a moment ago
            lines = () if after.paused_by else (why,)
            go_on = f"ctmupgrade resume {after.run}"
            return _made(NewsKind.PAUSE, after, f"paused (exit {code})", (*lines, go_on), code=code)
        case RunEnded():
            return _ended(event, after)
        case _:
            return _node_done(before, after)


def question_of(text: str, cluster: str, at: datetime, state: RunState | None) -> News:
    """Return what is told while a question waits at a terminal. :param state: None: no run has begun."""
    if state is None:
        return News(NewsKind.QUESTION, at, cluster, _line(f"{cluster}: a question waits: {text}"))
    lines = (f"answer it at the terminal of {state.by}",)
    return _made(NewsKind.QUESTION, state, f"a question waits: {text}", lines, at=at)


def left_of(why: str, state: RunState, at: datetime, code: int, *, failed: bool) -> News:
    """Return what is told where the process leaves a run without an end in the journal.

    :param failed: by an error of its own, not by a signal.
    """
    lines = (why, "what the appliances are doing goes on", f"ctmupgrade status {state.run}",
             f"ctmupgrade resume {state.run}")  # fmt: skip
    kind = NewsKind.FAILURE if failed else NewsKind.PAUSE
    return _made(kind, state, f"ctmupgrade has left the run (exit {code})", lines, at=at, code=code)


def not_begun(cluster: str, at: datetime, code: int, problems: Iterable[str]) -> News:
    """Return what is told of a run that the checks did not let begin."""
    title = f"{cluster}: the run did not begin: it is blocked by checks (exit {code}); nothing was changed"
    lines = tuple(map(_line, [*problems, "ctmupgrade check"]))
    return News(NewsKind.FAILURE, at, cluster, _line(title), lines, exit_code=code)


def trial_news(cluster: str, at: datetime, by: str) -> News:
    """Return what ``ctmupgrade notify`` sends."""
    lines = ("nothing was changed, and nothing needs to be done",)
    return News(NewsKind.TEST, at, cluster, _line(f"{cluster}: a test message from {by}"), lines, by=by)


def finished_nodes(state: RunState) -> tuple[str, ...]:
    """Return the nodes that a run has changed and is done with, in the plan's order."""
    changed = dict.fromkeys(step.node for step in state.plan.steps if step.node and changes_node(step.action))
    return tuple(name for name in changed if node_state(state, name) == "done")


def _started(state: RunState) -> News:
    nodes = state.plan.nodes
    names = node_list(nodes, len(state.plan.versions))
    about = clock_time(state.plan.critical_path_s())
    lines = (
        [f"{len(nodes)} node{'' if len(nodes) == 1 else 's'}: {names}; about {about} in all"] if nodes else []
    )
    return _made(NewsKind.START, state, f"started by {state.by}", (*lines, f"ctmupgrade status {state.run}"))


def _node_done(before: RunState | None, after: RunState) -> News | None:
    if before is None or before.steps is after.steps:
        return None
    moved = {
        step.node
        for step in after.plan.steps
        if before.steps[step.id].status is not after.steps[step.id].status
    }
    if not any(node_state(after, name) == "done" for name in moved):
        return None
    done = finished_nodes(after)
    new = [name for name in done if name not in finished_nodes(before)]
    if not new:
        return None
    total = len({step.node for step in after.plan.steps if step.node and changes_node(step.action)})
    was, is_now = after.plan.versions.get(new[0], ""), version_after(after, new[0])
    lines = (f"{was} -> {is_now}",) if was != is_now else ()
    return _made(NewsKind.NODE_DONE, after, f"{new[0]} is done ({len(done)} of {total})", lines, node=new[0])


def _failed(event: StepFailed, state: RunState) -> News:
    node = state.plan.step(event.step).node
    where = node or event.step
    kind = NewsKind.QUESTION if event.inconclusive else NewsKind.FAILURE
    said = f"{where}: a person must decide" if event.inconclusive else f"{where} failed"
    lines = (f"{event.step}: {after_step(event.step, event.error)}", *event.remedy.splitlines())
    return _made(kind, state, said, lines, node=node, code=event.code)


def _ended(event: RunEnded, state: RunState) -> News:
    target = state.plan.target.version
    said = {
        "done": "done", "aborted": "aborted", "nothing-to-do": "nothing to do",
        "partial": f"ended, but not every node is at {target} (outcome partial)",
    }.get(event.outcome, event.outcome)  # fmt: skip
    took = clock_time(max(0, round((state.at - state.started).total_seconds())))
    lines = [event.why, versions(state), f"after {took}", f"ctmupgrade report {state.run}"]
    return _made(NewsKind.END, state, said, tuple(line for line in lines if line), code=state.code)


def _made(
    kind: NewsKind,
    state: RunState,
    said: str,
    lines: tuple[str, ...] = (),
    *,
    node: str = "",
    code: int = -1,
    at: datetime | None = None,
) -> News:
    return News(
        kind, at or state.at, state.plan.cluster, _line(f"{title_of(state)}: {said}"), tuple(map(_line, lines)),
        state.run, kind_of(state).value, node, state.name, state.outcome, code, _line(state.by),
    )  # fmt: skip


def _line(text: str) -> str:
    """One line that acts on nobody and holds no secret: nodes speak in errors, and people in reasons."""
    line = one_line(foreign(text)).replace("\t", " ")
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 4]} ..."
