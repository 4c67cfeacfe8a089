"""Shows values on the terminal: plain lines anywhere, colours and a live board where there is one."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from ctmupgrade.core.checks.findings import Finding, Verdict
from ctmupgrade.core.clean_text import clean
from ctmupgrade.core.model import Node, Window
from ctmupgrade.core.overview.overview import Overview
from ctmupgrade.core.plan.estimates import worst_of
from ctmupgrade.core.plan.plan import Plan
from ctmupgrade.core.plan.time_words import time_lines
from ctmupgrade.core.plan.windows import WindowFit
from ctmupgrade.core.run.journal import Event, RunState
from ctmupgrade.core.run.report import Report
from ctmupgrade.core.ticks import Tick
from ctmupgrade.core.timing import clock_time
from ctmupgrade.render import plain
from ctmupgrade.render.escape import ours
from ctmupgrade.render.folding import folded
from ctmupgrade.render.streams import OutputError, give_up_output

if TYPE_CHECKING:
    from rich.console import Console

Say = Callable[[Iterable[str]], None]
_COLOURS = {
    Verdict.BLOCK: "bold red", Verdict.UNKNOWN: "bold red", Verdict.MANUAL: "yellow", Verdict.WARN: "yellow",
    Verdict.SKIPPED: "magenta", Verdict.PASS: "green",
}  # fmt: skip


class Watch(Protocol):
    """Shows a run while it goes."""

    def __call__(self, state: RunState, event: Event | None, key: str, tick: Tick | None, /) -> None:
        """Take in an event, or what a step says of itself."""

    def looked(self, view: Overview, /) -> None:
        """Take in where a run of another process is now; before it, what happened was told by calls."""

    def aside(self) -> AbstractContextManager[None]:
        """Draw nothing else on the terminal, for the time of a question."""


def _console() -> Console:
    from rich.console import Console

    return Console(
        highlight=False, soft_wrap=True, color_system=None if os.environ.get("NO_COLOR") else "auto"
    )


def _lines(lines: Iterable[str]) -> None:
    sys.stdout.write("".join(f"{clean(line)}\n" for line in lines))
    sys.stdout.flush()


def _news(lines: Iterable[str]) -> None:
    """Lines of a run: it goes on also where nobody reads, or its output is on a full disk; its journal tells."""
    try:
        _lines(lines)
    except OutputError as error:
        give_up_output(error)


def findings(
    found: tuple[Finding, ...],
    shown: str,
    nodes: Sequence[Node] = (),
    *,
    verbose: bool = False,
    of: tuple[Finding, ...] | None = None,
) -> None:
    """Show what a check found. ``of``: all of it, where ``found`` is a part; ``nodes``: the cluster's."""
    if shown != "rich":
        _lines(plain.finding_lines(found, verbose=verbose, of=of, nodes=nodes))
        return
    from rich.text import Text

    console = _console()
    for verdict, line in plain.marked_finding_lines(found, verbose=verbose, of=of, nodes=nodes):
        for number, part in enumerate(folded([clean(line)], console.width)):
            text = Text(part)
            if verdict is not None and number == 0:
                text.stylize(_COLOURS[verdict], 0, plain.MARK)
            console.print(text)


def plan(planned: Plan, shown: str, fit: WindowFit | None = None) -> None:
    """Show a plan's steps, and how they fit into the maintenance window."""
    if shown != "rich" or not planned.steps:
        _lines([*plain.plan_lines(planned), *plain.window_lines(fit)])
        return
    from rich.table import Table
    from rich.text import Text

    table = Table(title=Text(plain.plan_title(planned)), box=None)
    counts = any(step.holders >= 0 for step in planned.steps)  # a rebuild: who holds the data is what matters
    for heading in ("step", "about", "at worst", *(["hold the data"] if counts else []), "why", "after"):
        table.add_column(heading)
    for step in planned.steps:
        after = ", ".join(step.after[:2]) + (" ..." if len(step.after) > 2 else "")
        holders = [f"{step.holders} nodes" if step.holders >= 0 else ""] if counts else []
        row = (step.id, clock_time(step.estimate_s), clock_time(worst_of(step)), *holders, step.why, after)
        table.add_row(*map(Text, row))
    console = _console()
    console.print(table)
    notes = [*(f"  note: {note}" for note in planned.notes), *ours(plain.client_lines(planned))]
    for note in folded(notes, console.width):
        console.print(note, style="yellow", markup=False)
    for line in folded([f"  {line}" for line in time_lines(planned)], console.width):
        console.print(line, markup=False)
    for line in folded(plain.window_lines(fit), console.width):
        console.print(line, markup=False)


def report(made: Report, shown: str, *, told: bool = False, took: Mapping[str, int] | None = None) -> None:
    """Show a run in a few lines. ``told``: its events were shown right before, with what failed and why. ``took``: see
    :func:`~ctmupgrade.render.plain.report_lines`."""
    run_lines(plain.report_lines(made, told=told, took=took), made, shown)


def run_lines(lines: list[str], made: Report, shown: str) -> None:
    """Show lines about a run, of which the first says how it is."""
    if shown != "rich":
        _lines(lines)
        return
    console = _console()
    style = {"done": "bold green", "failed": "bold red", "needs-operator": "bold red"}.get(made.state, "bold")
    for line in folded(lines[:1], console.width):
        console.print(line, style=style, markup=False)
    for line in folded(lines[1:], console.width):
        console.print(line, markup=False)


def can_be_drawn() -> bool:
    """Return whether standard output is a terminal that can move its cursor."""
    return sys.stdout.isatty() and os.environ.get("TERM", "") not in ("", "dumb", "unknown")


def told_as_it_went(shown: str) -> bool:
    """Return whether what happened in a run is still to be read when it ends: a board takes its lines away."""
    return shown != "rich" or not can_be_drawn()


@contextmanager
def watching(
    shown: str, clock: Callable[[], datetime], window: Window | None = None, *, looks_only: bool = False
) -> Iterator[Watch]:
    """Give a watcher of a run in the wanted form, for the time of the run.

    :param clock: tells the run's time. :param window: the run's.
    :param looks_only: it is of another process's run, and ends where nobody reads; else this process goes on.
    """
    say = _lines if looks_only else _news
    if shown == "json":
        yield _JsonWatch(say)
        return
    if shown == "rich" and can_be_drawn():
        from ctmupgrade.render.board import board

        with board(clock, window or Window(), attended=not looks_only) as live:
            yield live
        return
    from ctmupgrade.render.plain_watch import plain_watch

    with plain_watch(say, clock, window or Window()) as watch:
        yield watch


class _JsonWatch:
    """A JSON object a line, one per event."""

    def __init__(self, say: Say) -> None:
        self._say = say

    def __call__(self, state: RunState, event: Event | None, _key: str, _tick: Tick | None) -> None:
        if event is None:
            return
        from ctmupgrade.codec import event_to_json

        document = {"schema": 1, "run": state.run, "at": state.at.isoformat(), "event": event_to_json(event)}
        self._say([json.dumps(document)])

    def looked(self, _view: Overview) -> None:
        return

    def aside(self) -> AbstractContextManager[None]:
        return nullcontext()
