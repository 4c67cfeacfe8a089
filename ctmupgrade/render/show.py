"""Shows values on the terminal: plain lines anywhere, colours and a live board where there is one."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Protocol

from ctmupgrade.core.checks.findings import Finding, Verdict
from ctmupgrade.core.clean_text import clean
from ctmupgrade.core.model import Cluster
from ctmupgrade.core.plan.plan import Plan
from ctmupgrade.core.plan.windows import WindowFit
from ctmupgrade.core.run.journal import Event, RunState
from ctmupgrade.core.run.report import Report
from ctmupgrade.core.ticks import Tick, Waiting
from ctmupgrade.core.timing import clock_time
from ctmupgrade.render import plain
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

    def aside(self) -> AbstractContextManager[None]:
        """Draw nothing else on the terminal, for the time of a question."""


def _console() -> Console:
    from rich.console import Console

    return Console(highlight=False, soft_wrap=True)


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
    found: tuple[Finding, ...], shown: str, *, verbose: bool = False, of: tuple[Finding, ...] | None = None
) -> None:
    """Show what a check found. ``of``: all of it, where ``found`` is a part."""
    if shown != "rich":
        _lines(plain.finding_lines(found, verbose=verbose, of=of))
        return
    from rich.text import Text

    console = _console()
    for verdict, line in plain.marked_finding_lines(found, verbose=verbose, of=of):
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

    table = Table(title=Text(f"plan {planned.id}: {planned.cluster} to {planned.target.version}"), box=None)
    counts = any(step.holders >= 0 for step in planned.steps)  # a rebuild: who holds the data is what matters
    for heading in ("step", "about", *(["hold the data"] if counts else []), "why", "after"):
        table.add_column(heading)
    for step in planned.steps:
        after = ", ".join(step.after[:2]) + (" ..." if len(step.after) > 2 else "")
        holders = [f"{step.holders} nodes" if step.holders >= 0 else ""] if counts else []
        row = (step.id, clock_time(step.estimate_s), *holders, step.why, after)
        table.add_row(*map(Text, row))
    console = _console()
    console.print(table)
    for note in folded([f"  note: {note}" for note in planned.notes], console.width):
        console.print(note, style="yellow", markup=False)
    console.print(f"  about {clock_time(planned.critical_path_s())} in all")
    for line in folded(plain.window_lines(fit), console.width):
        console.print(line, markup=False)


def report(made: Report, shown: str, *, told: bool = False) -> None:
    """Show a run in a few lines. ``told``: its events were shown right before, with what failed and why."""
    lines = plain.report_lines(made, told=told)
    if shown != "rich":
        _lines(lines)
        return
    console = _console()
    style = {"done": "bold green", "failed": "bold red", "needs-operator": "bold red"}.get(made.state, "bold")
    console.print(lines[0], style=style, markup=False)
    for line in folded(lines[1:], console.width):
        console.print(line, markup=False)


@contextmanager
def watching(shown: str, cluster: Cluster | None = None) -> Iterator[Watch]:
    """Give a watcher of a run in the wanted form, for the time of the run.

    :param cluster: of the run that this process runs, and goes on with whoever reads; None: it only looks at
        another process's, and ends where nobody reads.
    """
    say = _lines if cluster is None else _news
    if shown == "json":
        yield _JsonWatch(say)
    elif shown == "rich" and cluster is not None:
        from ctmupgrade.render.board import board

        with board(cluster) as watch:
            yield watch
    else:
        yield _PlainWatch(say)


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

    def aside(self) -> AbstractContextManager[None]:
        return nullcontext()


class _PlainWatch:
    """A line per event, and one when what is waited for changes (not at every look)."""

    def __init__(self, say: Say) -> None:
        self._say = say
        self._said: dict[str, str] = {}

    def aside(self) -> AbstractContextManager[None]:
        return nullcontext()

    def __call__(self, state: RunState, event: Event | None, key: str, tick: Tick | None) -> None:
        if event is not None:
            self._say([plain.event_line(event, state)])
        elif isinstance(tick, Waiting):
            gist = re.sub(r"\d+", "", tick.gist or tick.what)  # a count that goes up is no news
            if self._said.get(key) != gist:
                self._said[key] = gist
                until = tick.until.isoformat(timespec="minutes")
                self._say(
                    [
                        f"{state.at.isoformat(timespec='seconds')} {key} waits (until {until} at most): {tick.what}"
                    ]
                )
