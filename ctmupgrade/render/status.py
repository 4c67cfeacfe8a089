"""``status``: one screen that also somebody understands who did not start the run."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

from ctmupgrade.core.clean_text import clean, one_line
from ctmupgrade.core.overview.overview import NodeRow, Overview
from ctmupgrade.core.run.kinds import CHANGES_NO_RELEASE, kind_of
from ctmupgrade.core.run.report import NodeLine, Report
from ctmupgrade.core.timing import clock_time
from ctmupgrade.render import overview_words as words
from ctmupgrade.render.escape import ours
from ctmupgrade.render.plain import head_line, journal_lines, node_line, state_now, stuck_lines, version_now

_NAMES = 11  # columns of what a line is about
_FEW = 8  # nodes that are listed one by one; of more, those that are alike share a line


def status_lines(report: Report, view: Overview, news: str, width: int = 0) -> list[str]:
    """Return where a run is.

    :param news: the last thing that happened. :param width: of the terminal; 0: no line is folded.
    """
    lines = [head_line(report, alive=view.alive)]
    for name, text in _facts(view, news):
        lines += _folded(f"  {name:{_NAMES}}", one_line(clean(text)), width) if text else []
    lines += [f"  {line}" for line in _node_lines(report.nodes, view)]
    lines += [f"  {text}" for text in (*report.pending_reboots, *report.left_behind)]
    lines += stuck_lines(report, begun=not view.alive)
    # While a process works on it, the journal grows: there is no head to hold on to.
    return ours([*lines, *([] if view.alive else journal_lines(report))])


def _folded(name: str, text: str, width: int) -> list[str]:
    if not width or len(name) + len(text) <= width:
        return [f"{name}{text}"]
    more = " " * len(name)
    return textwrap.wrap(text, width, initial_indent=name, subsequent_indent=more, break_on_hyphens=False)


def _facts(view: Overview, news: str) -> Iterator[tuple[str, str]]:
    state = view.state
    since = f"{state.started.astimezone(view.at.tzinfo):%Y-%m-%d %H:%M}"
    ago = clock_time(view.elapsed_s)
    yield "state", words.state_words(view)
    yield "since", f"{since} ({ago}{'' if state.unfinished else ' in all'}), by {state.by}"
    if state.plan.target.version and view.versions_before:
        aim = (
            f"from {{}} to {state.plan.target.version}" if kind_of(state) not in CHANGES_NO_RELEASE else "{}"
        )
        yield "versions", aim.format(", ".join(view.versions_before))
    yield "progress", ", ".join(words.progress_words(view))
    yield "end", words.end_words(view).removeprefix("ends ") or words.left_words(view)
    yield "window", words.window_words(view).removeprefix("window ")
    yield "cluster", "; ".join(words.health_words(view))
    waits = [words.wait_words(node, work) for node, work in view.waits]
    for number, text in enumerate(waits[:3]):
        yield ("waits for" if number == 0 else "", text)
    if len(waits) > 3:
        yield "", f"and {len(waits) - 3} more"
    if state.paused and not state.paused_by:
        yield "why", state.paused
    yield "last", news


def _node_lines(nodes: Sequence[NodeLine], view: Overview) -> Iterator[str]:
    width = max((len(n.name) for n in nodes), default=0)
    if len(nodes) <= _FEW:
        took = {row.name: row.took_s for row in view.rows}
        for node in nodes:
            yield node_line(node, width, took.get(node.name))
        return
    alike: dict[tuple[str, str, str], list[NodeLine]] = {}
    for node in nodes:
        alike.setdefault((node.version_before, version_now(node), state_now(node)), []).append(node)
    for (before, after, word), found in alike.items():
        names = words.some((n.name for n in found), 4)
        yield f"{words.count(len(found), 'node')} {before} -> {after}  {word}: {names}"


def took_of(rows: Sequence[NodeRow]) -> dict[str, int]:
    """Return for how many seconds each node was out of service that is back."""
    return {row.name: row.took_s for row in rows if row.took_s is not None}
