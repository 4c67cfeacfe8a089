"""The installed program on a terminal of its own, as a person sees and answers it."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

PATIENCE = 60.0  # seconds; only what is broken takes so long


@dataclass
class Terminal:
    """A process on a terminal.

    :ivar shown: all that it has shown so far.
    """

    process: subprocess.Popen[bytes]
    screen: int
    shown: str = ""

    def until(self, text: str) -> str:
        """Read until a text is shown after what was read before; return what was shown up to it."""
        began, start = time.monotonic(), len(self.shown)
        while text not in self.shown[start:]:
            if time.monotonic() - began > PATIENCE or not self._read():
                raise AssertionError(f"{text!r} was never shown:\n{self.shown}")
        return self.shown[start:]

    def type(self, text: str) -> None:
        """Type a text."""
        os.write(self.screen, text.encode())

    def ended(self) -> int:
        """Read to the end; return the exit code."""
        while self._read():
            pass
        return self.process.wait(PATIENCE)

    def _read(self) -> bool:
        ready, _, _ = select.select([self.screen], [], [], PATIENCE)
        if not ready:
            raise AssertionError(f"nothing more is shown:\n{self.shown}")
        try:
            part = os.read(self.screen, 65536)
        except OSError:  # its other end is closed
            return False
        self.shown += part.decode("utf-8", "replace").replace("\r\n", "\n")
        return bool(part)


@contextmanager
def on_terminal(
    argv: Sequence[str], folder: Path, environ: Mapping[str, str], *, columns: int = 200
) -> Iterator[Terminal]:
    """Start a program on a terminal of its own, so many columns wide; it ends with the block."""
    screen, inside = pty.openpty()
    env = {**environ, "TERM": "xterm", "COLUMNS": str(columns), "LINES": "50"}
    process = subprocess.Popen(
        argv, cwd=folder, env=env, stdin=inside, stdout=inside, stderr=inside, start_new_session=True
    )
    os.close(inside)
    try:
        yield Terminal(process, screen)
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        os.close(screen)
