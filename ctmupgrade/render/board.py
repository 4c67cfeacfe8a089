"""The live board on a terminal: drawn once a second by a thread of its own, in place, whatever the run does meanwhile."""

from __future__ import annotations

import os
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime

from rich.console import Console
from rich.text import Text

from ctmupgrade.core.model import Window
from ctmupgrade.core.overview.activity import Activities
from ctmupgrade.core.overview.overview import Overview, make_overview
from ctmupgrade.core.run.journal import Event, RunState, StopAsked
from ctmupgrade.core.ticks import Tick
from ctmupgrade.render.board_lines import Size, board_lines
from ctmupgrade.render.news import News, news_of
from ctmupgrade.render.painter import Painter
from ctmupgrade.render.streams import OutputError, give_up_output

EVERY = 1.0  # seconds between two looks at what is to be drawn
AGAIN = 5  # drawings after which all is drawn again: somebody else may have written on the terminal
KEPT = 60  # last events; no terminal has room for more
ATTENDED = "Ctrl-C pauses after the step in hand; twice leaves at once, appliances go on"
PAUSING = "Pausing after the step in hand; Ctrl-C again leaves at once, appliances go on"
WATCHED = "Ctrl-C ends this view; the run goes on"


@dataclass(slots=True)
class Board:
    """What is known of a run, for whoever draws it. Taken in by one thread, drawn by another.

    :ivar clock: tells the run's time. :ivar told: where the run is, as one knows who only looks at it.
    :ivar asked_here: Ctrl-C was typed once already.
    """

    clock: Callable[[], datetime]
    activities: Activities
    state: RunState | None = None
    news: deque[News] = field(default_factory=lambda: deque(maxlen=KEPT))
    told: Overview | None = None
    asked_here: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, state: RunState, event: Event | None, key: str, tick: Tick | None) -> None:
        """Take in one event, or what a step says."""
        with self._lock:
            self.state = state
            self.asked_here |= isinstance(event, StopAsked) and event.here
            now = self.clock()
            self.activities.take(event, key, tick, now)
            told = None if event is None else news_of(event, state, now.tzinfo)
            if told is not None and self.news and (both := self.news[-1].joined(told)):
                self.news[-1] = both
            elif told is not None:
                self.news.append(told)

    def look(self) -> tuple[Overview, list[str]] | None:
        """Return what is to be drawn; None where nothing has begun."""
        with self._lock:
            if self.state is None:
                return None
            now = self.clock()
            view = self.told or make_overview(self.state, self.activities.doing(now), now, alive=True)
            return view, [one.line for one in self.news]


class LiveBoard:
    """Draws a board in place. :param hint: what keys do."""

    def __init__(self, board: Board, hint: str) -> None:
        self.board, self._hint = board, hint
        self._console = Console(highlight=False, color_system=None if os.environ.get("NO_COLOR") else "auto")
        self._painter = Painter(self._write)
        self._size: tuple[int, int] = (0, 0)
        self._drawn = 0
        self.attended, self._begun = True, False
        self._hidden = True  # until the question before the run is answered
        self._lock = threading.RLock()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._go_on, name="board", daemon=True)

    def __call__(self, state: RunState, event: Event | None, key: str, tick: Tick | None) -> None:
        """Take in one event, or what a step says; the first one shows the board."""
        self.board.take(state, event, key, tick)
        if self.attended and not self._begun:
            self.show()

    def looked(self, view: Overview) -> None:
        """Take in where a run of another process is; the first time shows the board."""
        self.board.told = view
        if not self._begun:
            self.show()

    def show(self) -> None:
        """Draw from now on."""
        self._begun, self._hidden = True, False
        self.draw()
        self._thread.start()

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Take the board away for the time of a question, and of what must stay on the terminal."""
        with self._lock:
            self._painter.erase()
            hidden, self._hidden = self._hidden, True
        try:
            yield
        finally:
            self._hidden = hidden

    def stop(self) -> None:
        """Take the board away for good."""
        self._over.set()
        with self._lock:
            self._hidden = True
            self._painter.erase()

    def draw(self) -> None:
        """Draw what has changed."""
        with self._lock:
            found = None if self._hidden else self.board.look()
            if found is None:
                return
            size = self._now()
            if size != self._size:
                self._painter.clear()
            self._size = size
            hint = PAUSING if self.attended and self.board.asked_here else self._hint
            lines = board_lines(*found, Size(*self._size), hint)
            self._drawn += 1
            self._painter.paint([self._styled(line) for line in lines], again=self._drawn % AGAIN == 0)

    def _now(self) -> tuple[int, int]:
        """The terminal's size of now: not that of the environment, which a shell may have set long ago."""
        try:
            size = os.get_terminal_size(sys.stdout.fileno())
        except (OSError, ValueError):
            return self._console.size.width, self._console.size.height
        return (size.columns, size.lines) if size.columns and size.lines else (80, 24)

    def _go_on(self) -> None:
        while not self._over.wait(EVERY):
            self.draw()

    def _styled(self, line: Text) -> str:
        if self._console.color_system is None:
            return line.plain
        with self._console.capture() as written:
            self._console.print(line, end="", no_wrap=True, overflow="ignore", crop=False, markup=False)
        return written.get()

    def _write(self, text: str) -> None:
        """Write to standard output; the run goes on, whoever looks."""
        try:
            sys.stdout.write(text)
            sys.stdout.flush()
        except OutputError as error:
            self._hidden = True
            give_up_output(error)


@contextmanager
def board(clock: Callable[[], datetime], window: Window, *, attended: bool = True) -> Iterator[LiveBoard]:
    """Show a live board on the terminal. :param attended: of the run of this process; else it is only looked at."""
    live = LiveBoard(Board(clock, Activities(window)), ATTENDED if attended else WATCHED)
    live.attended = attended
    try:
        yield live
    finally:
        live.stop()
