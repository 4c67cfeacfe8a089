"""The live board: all nodes with what each is doing, uploads with rate and time left, and what is waited
for, since when and until when. A fold over events and ticks, like everything shown."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from ctmupgrade.core.clean_text import clean, one_line
from ctmupgrade.core.model import Cluster
from ctmupgrade.core.run.journal import Event, RunState, Status
from ctmupgrade.core.run.report import node_state, version_after
from ctmupgrade.core.ticks import Progress, Tick, Waiting
from ctmupgrade.core.timing import clock_time
from ctmupgrade.render.folding import folded
from ctmupgrade.render.plain import event_line
from ctmupgrade.render.streams import OutputError, give_up_output

MIB = 2**20
BAR = 24
_STYLES = {"done": "green", "failed": "bold red", "needs-operator": "bold red", "running": "cyan"}


@dataclass(slots=True)
class _Transfer:
    began: float
    first: int
    done: int = 0
    total: int = 0


@dataclass(slots=True)
class Board:
    """What the last events and ticks said."""

    cluster: Cluster
    state: RunState | None = None
    ticks: dict[str, Tick] = field(default_factory=dict)
    transfers: dict[str, _Transfer] = field(default_factory=dict)

    def take(self, state: RunState, event: Event | None, key: str, tick: Tick | None) -> None:
        """Take in one event or tick."""
        self.state = state
        if event is not None or tick is None:
            return
        self.ticks[key] = tick
        if isinstance(tick, Progress):
            held = self.transfers.setdefault(key, _Transfer(time.monotonic(), tick.done))
            held.done, held.total = tick.done, tick.total

    def __rich__(self) -> Group:
        table = Table(box=None, pad_edge=False, expand=True)
        for heading in ("node", "version", "state"):
            table.add_column(heading, no_wrap=True)
        table.add_column("doing", ratio=1)
        state = self.state
        if state is None:
            return Group(Text("starting"))
        for node in self.cluster.nodes:
            word = node_state(state, node.name)
            doing = self._doing(state, node.name)
            table.add_row(
                Text(node.name),
                _text(version_after(state, node.name)),
                Text(word, _STYLES.get(word, "dim")),
                doing,
            )
        done = sum(s.status in (Status.DONE, Status.SKIPPED) for s in state.steps.values())
        head = f"{state.mode.value}  {state.plan.cluster}  run {state.run}  {state.name}  {done}/{len(state.steps)}"
        return Group(_text(head, "bold"), table, self._without_node(state))

    def _running(self, state: RunState, node: str) -> list[str]:
        return [s.id for s in state.plan.steps if s.node == node and self._is_on(state, s.id)]

    def _is_on(self, state: RunState, step: str) -> bool:
        return state.steps[step].status is Status.STARTED or (
            state.steps[step].status is Status.PENDING and step in self.ticks
        )

    def _doing(self, state: RunState, node: str) -> Text:
        running = self._running(state, node)
        return _text("; ".join(self._words(step) for step in running) or "-", "" if running else "dim")

    def _without_node(self, state: RunState) -> Text:
        return _text("; ".join(self._words(step) for step in self._running(state, "")), "dim")

    def _words(self, step: str) -> str:
        match self.ticks.get(step):
            case Waiting(what=what, since=since, until=until):
                return f"{step}: {what} ({waited(since, until)})"
            case Progress():
                return f"{step}: {self._bar(step)}"
            case _:
                return step

    def _bar(self, step: str) -> str:
        held = self.transfers[step]
        share = held.done / held.total if held.total else 1.0
        bar = "#" * int(share * BAR)
        took = max(0.001, time.monotonic() - held.began)
        rate = (held.done - held.first) / took
        left = clock_time(int((held.total - held.done) / rate)) if rate > 0 else "?"
        return f"[{bar:-<{BAR}}] {share:4.0%} {rate / MIB:.0f} MiB/s, {left} left"


def _text(text: str, style: str = "") -> Text:
    """A text of anybody's: no markup, no second line."""
    return Text(one_line(clean(text)), style)


def waited(since: datetime, until: datetime) -> str:
    """Return for how long already, and until when at most."""
    now = datetime.now(since.tzinfo)
    return f"for {clock_time(max(0, int((now - since).total_seconds())))}, until {until:%H:%M}"


class _BoardWatch:
    """Feeds the live board; events scroll above it."""

    def __init__(self, cluster: Cluster) -> None:
        self._console = Console(highlight=False)
        self._shown = Board(cluster)
        self._live = Live(self._shown, console=self._console, refresh_per_second=4, transient=True)

    def __call__(self, state: RunState, event: Event | None, key: str, tick: Tick | None) -> None:
        try:
            self._draw(state, event, key, tick)
        except OutputError as error:  # the run goes on, whoever looks
            give_up_output(error)

    def _draw(self, state: RunState, event: Event | None, key: str, tick: Tick | None) -> None:
        self._shown.take(state, event, key, tick)
        if not self._live.is_started:  # not before the question was answered
            self._live.start()
        if event is not None:
            for line in folded([event_line(event, state)], self._console.width):
                self._console.print(line, markup=False)

    @contextmanager
    def aside(self) -> Iterator[None]:
        """A question is never drawn over, and its line is not held back: the board holds back lines that have no end."""
        self._live.stop()
        yield

    def stop(self) -> None:
        self._live.stop()


@contextmanager
def board(cluster: Cluster) -> Iterator[_BoardWatch]:
    """Show a live board on the terminal."""
    watch = _BoardWatch(cluster)
    try:
        yield watch
    finally:
        watch.stop()
