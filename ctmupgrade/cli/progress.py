"""That a command works while it looks: how many nodes have answered, how much of an archive is read. On a terminal a line
that is gone when it is over; elsewhere a line now and then. Always on standard error."""

from __future__ import annotations

import os
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from ctmupgrade.cli.given import Common, Format

if TYPE_CHECKING:
    from ctmupgrade.commands.wiring import Setup
    from ctmupgrade.ports import Gather

R = TypeVar("R")
_CLEAR = "\r\x1b[K"
LINE_EVERY_S = 10.0  # where no person watches
GB = 1_000_000_000


@dataclass
class Working:
    """Says what is worked on, once a second, until it is stopped.

    :ivar in_place: on a line that is written over; else a line of its own each ten seconds.
    """

    in_place: bool
    words: Callable[[], str]
    began: float = field(default_factory=time.monotonic)
    _over: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def start(self) -> None:
        """Begin to say it."""
        threading.Thread(target=self._go_on, name="working", daemon=True).start()

    def stop(self) -> None:
        """Say nothing any more, and take away what was said in place. Again: nothing happens."""
        with self._lock:
            if self.in_place and not self._over.is_set():
                sys.stderr.write(_CLEAR)
                sys.stderr.flush()
            self._over.set()

    def _go_on(self) -> None:
        every = 1.0 if self.in_place else LINE_EVERY_S
        while not self._over.wait(every):
            self.say()

    def tell(self, words: str) -> None:
        """Say these words from now on."""
        self.words = lambda: words
        if self.in_place:
            self.say()

    def say(self) -> None:
        """Say it now, where there is something to say."""
        words = self.words()
        with self._lock:
            if not words or self._over.is_set():
                return
            seconds = int(time.monotonic() - self.began)
            text = f"{words} ({seconds} s)" if seconds else words
            width = shutil.get_terminal_size().columns - 1
            sys.stderr.write(f"{_CLEAR}{text[:width]}" if self.in_place else f"{text}\n")
            sys.stderr.flush()


def in_place(common: Common) -> bool:
    """Return whether a person watches a terminal that can write over a line."""
    dumb = os.environ.get("TERM", "") in ("", "dumb", "unknown")
    return common.shown is Format.RICH and sys.stderr.isatty() and not dumb


@dataclass
class Counted:
    """A Gather that keeps how many nodes have answered, and which are still asked. Questions to one node are counted as such."""

    gather: Gather
    nodes: frozenset[str] = frozenset()
    said: Callable[[], None] = lambda: None
    of: int = 0
    whole: bool = True  # nodes are asked, not questions
    left: dict[str, None] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, ask: Callable[[str], R], names: Sequence[str]) -> dict[str, R]:
        """Ask as the Gather does, and count the answers."""

        def counted(name: str) -> R:
            try:
                return ask(name)
            finally:
                with self.lock:
                    self.left.pop(name, None)
                self.said()

        if not any(names):  # what is asked once, for the cluster, is no node
            return self.gather(ask, names)
        with self.lock:
            self.of, self.left = len(names), dict.fromkeys(names)
            self.whole = self.nodes.issuperset(names)
        self.said()
        return self.gather(counted, names)

    def words(self) -> str:
        """Return how many have answered: "7 of 20 nodes have answered; waiting for ctm-3"."""
        with self.lock:
            left = list(self.left)
        if not self.of:
            return ""
        more = " ..." if len(left) > 3 else ""
        waiting = f"; waiting for {', '.join(left[:3])}{more}" if left else "; judging"
        what = "nodes have answered" if self.whole else "questions are answered"
        return f"{self.of - len(left)} of {self.of} {what}{waiting}"


@contextmanager
def progress(common: Common, made: Setup) -> Iterator[Working]:
    """Show how many nodes have answered while a command looks at them; to be stopped before anything else is shown."""
    before = made.tools
    counted = Counted(
        before.gather, frozenset(node.name for node in (*made.cluster.nodes, *made.cluster.fresh))
    )
    working = Working(in_place(common), counted.words)
    if working.in_place:
        counted.said = working.say
    made.tools = replace(before, gather=counted)
    working.start()
    try:
        yield working
    finally:
        working.stop()
        made.tools = before


@dataclass
class Reading:
    """How much of a file is read. :ivar size: its bytes; 0: not known."""

    size: int
    done: int = 0

    def __call__(self, done: int) -> None:
        """Take in how many bytes are read by now."""
        self.done = done

    def words(self) -> str:
        """Return it in words; "" where the size is not known."""
        if not self.size:
            return ""
        share = min(100, self.done * 100 // self.size)
        return f"{self.done / GB:.1f} of {self.size / GB:.1f} GB of the archive are read, {share} %"


@contextmanager
def reading(common: Common, file: Path) -> Iterator[Reading]:
    """Show how much of a file is read, by what is told the bytes read so far."""
    read = Reading(0)
    with suppress(OSError, ValueError, RuntimeError):  # whoever opens it says what is wrong with it
        read.size = file.expanduser().stat().st_size
    working = Working(in_place(common), read.words)
    working.start()
    try:
        yield read
    finally:
        working.stop()
