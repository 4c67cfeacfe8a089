"""How far a look at all nodes is, on a line of the terminal that is gone when it is over."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeVar

from ctmupgrade.cli.given import Common, Format

if TYPE_CHECKING:
    from ctmupgrade.commands.wiring import Setup
    from ctmupgrade.ports import Gather

R = TypeVar("R")
_CLEAR = "\r\x1b[K"


@dataclass
class _Counted:
    """A Gather that says how many nodes have answered, and which are still asked."""

    gather: Gather
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, ask: Callable[[str], R], names: Sequence[str]) -> dict[str, R]:
        left = dict.fromkeys(names)

        def counted(name: str) -> R:
            try:
                return ask(name)
            finally:
                with self.lock:
                    left.pop(name, None)
                    self._say(len(names) - len(left), len(names), list(left))

        self._say(0, len(names), list(left))
        return self.gather(counted, names)

    def _say(self, done: int, of: int, left: list[str]) -> None:
        waiting = f"; waiting for {', '.join(left[:3])}{' ...' if len(left) > 3 else ''}" if left else ""
        sys.stderr.write(f"{_CLEAR}asked {done} of {of} nodes{waiting}"[:79])
        sys.stderr.flush()


@contextmanager
def progress(common: Common, made: Setup) -> Iterator[None]:
    """Show how many nodes have answered while a command looks at them; nothing where no person watches."""
    if common.shown is not Format.RICH or not sys.stderr.isatty():
        yield
        return
    before = made.tools
    made.tools = replace(before, gather=_Counted(before.gather))
    try:
        yield
    finally:
        made.tools = before
        sys.stderr.write(_CLEAR)
        sys.stderr.flush()
