"""Paints lines in place on a terminal: only what has changed is written, in one piece, and never more than a slow line
bears."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

BYTES = 3500  # at most at once; a painter is asked once a second
_UP, _TO_END, _REST_OF_LINE = "\x1b[{}A", "\x1b[J", "\x1b[K"


@dataclass(slots=True)
class Painter:
    """Lines at the end of a terminal's text, which stay where they are and are overwritten.

    :ivar write: takes what is to be written. :ivar shown: what each line shows now; None: it is not written yet.
    """

    write: Callable[[str], object]
    shown: list[str | None] = field(default_factory=list)

    def paint(self, lines: Sequence[str], *, again: bool = False) -> bool:
        """Show these lines, each narrower than the terminal; return whether all of them are shown now.

        What is over :data:`BYTES` is shown by the next call. Lines that are no longer there are left empty.

        :param again: also what has not changed: somebody else may have written between.
        """
        there = len(self.shown)
        wanted = [*lines, *[""] * (there - len(lines))]
        self.shown += [None] * (len(wanted) - there)
        made, spent, passed = "", 0, 0
        for number, line in enumerate(wanted):
            full, new = spent > BYTES, number >= there
            if full or (line == self.shown[number] and not again):
                self.shown[number] = None if full and line != self.shown[number] else line
                made, passed = (f"{made}{self._down(passed)}\n", 0) if new else (made, passed + 1)
                continue
            made += f"{self._down(passed)}{line}{_REST_OF_LINE}\n"
            passed = 0
            spent += len(line.encode()) + 4
            self.shown[number] = line
        if made:
            self.write(f"\r{_UP.format(there) if there else ''}{made}{self._down(passed)}")
        return None not in self.shown

    @staticmethod
    def _down(lines: int) -> str:
        return f"\x1b[{lines}B" if lines else ""

    def erase(self) -> None:
        """Take the lines away; what is written next is in their place."""
        if self.shown:
            self.write(f"\r{_UP.format(len(self.shown))}{_TO_END}")
        self.shown.clear()

    def clear(self) -> None:
        """Clear the screen: its size has changed, and nobody knows where the lines are now."""
        if self.shown:
            self.write("\x1b[H\x1b[2J")
        self.shown.clear()
