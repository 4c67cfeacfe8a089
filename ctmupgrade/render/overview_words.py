"""An overview in words, the same on the board, in ``status`` and in plain lines."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime

from ctmupgrade.core.clean_text import clean, one_line
from ctmupgrade.core.overview.activity import Activity
from ctmupgrade.core.overview.health import ClusterHealth
from ctmupgrade.core.overview.overview import NodeRow, Overview, Work
from ctmupgrade.core.plan.step_words import node_list
from ctmupgrade.core.run.kinds import RunKind, kind_of
from ctmupgrade.core.timing import clock_time

MB = 1_000_000
BAR = 16
LATE_S = 30  # so much over the worst case before it is said

_WEEK = 7  # days


def hour(moment: datetime, now: datetime) -> str:
    """Return a time as the clock of ``now`` shows it, with its day where that is another one: a weekday names one day only
    within a week."""
    there = moment.astimezone(now.tzinfo)
    days = abs((there.date() - now.date()).days)
    return f"{there:{'%H:%M' if not days else '%a %H:%M' if days < _WEEK else '%Y-%m-%d %H:%M'}}"


def _edge(moment: datetime, now: datetime) -> str:
    """Return when a window begins or ends: where its clock is not that of ``now``, as cluster.yaml has it, with its offset."""
    if moment.utcoffset() == moment.astimezone(now.tzinfo).utcoffset():
        return hour(moment, now)
    offset = moment.isoformat()[len(moment.replace(tzinfo=None).isoformat()) :]
    return f"{hour(moment, now.astimezone(moment.tzinfo))}{offset}"


def count(number: int, what: str) -> str:
    """Return a number with its noun: "1 node", "3 nodes"."""
    return f"{number} {what}{'' if number == 1 else 's'}"


def title_words(view: Overview) -> str:
    """Return what the run is, from which version to which: "Upgrade of prod-eu from 2.20.0+1 to 2.21.0"."""
    before = ", ".join(view.versions_before[:3])
    where = f" from {before}" if before and " to " in view.title else ""
    return view.title.replace(" to ", f"{where} to ", 1) if where else view.title


def state_words(view: Overview) -> str:
    """Return how the run is, in words; a run that no process runs is not called running."""
    state = view.state
    if not state.unfinished:
        return state.outcome if state.outcome != "done" else "done"
    if state.name == "pausing" and view.alive:
        return f"{'ending' if state.stop == 'abort' else 'pausing'} when the step in hand is done"
    if state.name in ("running", "pausing"):
        return "running" if view.alive else "not running: its process has gone"
    words = {"failed": "paused: a step failed", "needs-operator": "paused: a decision of yours is needed"}
    return words.get(state.name, state.name)


def progress_words(view: Overview) -> Iterator[str]:
    """Yield how far it is, each part by itself."""
    yield (
        f"step {view.step} of {view.steps}" if view.state.unfinished else f"{view.over} of {view.steps} steps"
    )
    concerned = [row for row in view.rows if row.group != "unchanged"]
    done, work, stuck, skipped = (len(view.group(g)) for g in ("done", "in work", "stuck", "skipped"))
    yield f"{done} of {count(len(concerned), 'node')} done"
    if stuck:
        yield f"{stuck} stuck"
    if work:
        yield f"{work} in work"
    if waiting := len(view.group("waiting")):
        yield f"{waiting} waiting"
    if skipped:
        yield f"{skipped} skipped"


def end_words(view: Overview) -> str:
    """Return when all is done, usually and at worst; "" where nothing is left, or nothing goes on."""
    if view.span is None or not view.alive:
        return ""
    return f"ends about {hour(view.span.ends, view.at)}, at worst {hour(view.span.worst, view.at)}"


def left_words(view: Overview) -> str:
    """Return how long what is left usually takes; "" where nothing is left."""
    if view.span is None:
        return ""
    return f"about {clock_time(int((view.span.ends - view.at).total_seconds()))} of work is left"


def window_words(view: Overview) -> str:
    """Return the maintenance window with the time that is left in it; "" where it has no end."""
    window = view.doing.window
    if window.finish_by is None:
        return ""
    if window.start is not None and view.at < window.start:
        begins = _edge(window.start, view.at)
        return f"window from {begins} to {_edge(window.finish_by, view.at)}"
    left = int((window.finish_by - view.at).total_seconds())
    words = f"window until {_edge(window.finish_by, view.at)}"
    if not view.state.unfinished:
        return words
    if left <= 0:
        return f"{words}: over since {clock_time(-left)}"
    late = view.span is not None and view.alive and view.span.ends > window.finish_by
    return f"{words}: {clock_time(left)} left{', NOT enough for all nodes' if late else ''}"


def health_words(view: Overview) -> Iterator[str]:
    """Yield the health strip: who serves, when all were seen ready and connected, which versions."""
    if kind_of(view.state) is RunKind.DRILL:  # whose one node is no node of the cluster
        yield "nothing of it is changed by a drill"
        return
    health: ClusterHealth = view.health
    serving = len(health.nodes) - len(health.away)
    out = f" (out: {some(health.away)})" if health.away else ""
    yield f"{serving} of {count(len(health.nodes), 'node')} in service{out}"
    if health.ready_at is not None:
        yield f"all were ready and connected at {hour(health.ready_at, view.at)}"
    yield ", ".join(
        f"{len(names)} on {version or 'a version that is not known'}"
        for version, names in health.versions.items()
    )


def some(names: Iterable[str], most: int = 3) -> str:
    """Return a few of the names, and how many more there are."""
    found = list(names)
    more = f" and {len(found) - most} more" if len(found) > most else ""
    return f"{', '.join(found[:most])}{more}"


def upload_words(said: Activity, *, bar: bool = True) -> str:
    """Return how far an upload is, how fast it is, and how long it still takes."""
    share = said.done / said.total if said.total else 1.0
    drawn = f"[{'#' * int(share * BAR):-<{BAR}}] " if bar else ""
    left = clock_time(said.left_s) + " left" if said.left_s is not None else "time left not known"
    if said.done >= said.total:
        return f"{drawn}100 %, {said.what}"
    return f"{drawn}{int(share * 100)} %, {said.rate / MB:.0f} MB/s, {left}"


def doing_words(work: Work) -> str:
    """Return what a step waits for with its last answer, or how far its upload is; "" where it said nothing yet."""
    said = work.activity
    if said is None:
        return ""
    return upload_words(said) if said.total else one_line(clean(said.what))


def is_late(work: Work) -> bool:
    """Return whether a step takes clearly longer than at worst expected: a second more of one that was expected to take
    a second is nothing to look at."""
    return work.elapsed_s > work.worst_s + LATE_S


def usual_words(work: Work) -> str:
    """Return how long a step usually takes, or that it takes longer than at worst expected."""
    if is_late(work):
        return f"longer than expected ({clock_time(work.worst_s)} at worst)"
    return f"usually {clock_time(work.usual_s)}"


def wait_words(node: str, work: Work) -> str:
    """Return a step in hand as a sentence: what, for how long, how long usually, and what it waits for."""
    said = doing_words(work)
    begin = f"{node}: " if node else ""
    return f"{begin}{work.phase} for {clock_time(work.elapsed_s)}, {usual_words(work)}" + (
        f"; {said}" if said else ""
    )


def names_of(rows: Iterable[NodeRow], of: int) -> str:
    """Return the nodes' names, or "all 20 nodes"."""
    return node_list((row.name for row in rows), of)
