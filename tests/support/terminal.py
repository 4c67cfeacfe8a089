"""The installed program on a terminal of its own, as a person sees and answers it."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import subprocess
import termios
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyte

PATIENCE = 60.0  # seconds; only what is broken takes so long


@dataclass
class Terminal:
    """A process on a terminal.

    :ivar shown: all that it has shown so far. :ivar raw: the same as it was written.
    """

    process: subprocess.Popen[bytes]
    screen: int
    shown: str = ""
    raw: bytes = b""
    size: tuple[int, int] = (80, 24)

    def until(self, text: str) -> str:
        """Read until a text is shown after what was read before; return what was shown up to it."""
        began, start = time.monotonic(), len(self.shown)
        while text not in self.shown[start:]:
            if time.monotonic() - began > PATIENCE or not self._read():
                raise AssertionError(f"{text!r} was never shown:\n{self.shown}")
        return self.shown[start:]

    def more(self) -> bool:
        """Read on; whether anything was shown before the end."""
        return self._read()

    def type(self, text: str) -> None:
        """Type a text."""
        os.write(self.screen, text.encode())

    def ended(self) -> int:
        """Read to the end; return the exit code."""
        while self._read():
            pass
        return self.process.wait(PATIENCE)

    def seen(self) -> list[str]:
        """The lines that a person sees on the screen now."""
        return on_screen(self.raw, *self.size)

    def _read(self) -> bool:
        ready, _, _ = select.select([self.screen], [], [], PATIENCE)
        if not ready:
            raise AssertionError(f"nothing more is shown:\n{self.shown}")
        try:
            part = os.read(self.screen, 65536)
        except OSError:  # its other end is closed
            return False
        self.raw += part
        self.shown += part.decode("utf-8", "replace").replace("\r\n", "\n")
        return bool(part)


def on_screen(raw: bytes, columns: int, lines: int) -> list[str]:
    """What a terminal of this size shows after it was sent this."""
    screen = pyte.Screen(columns, lines)
    pyte.ByteStream(screen).feed(raw)
    return [line.rstrip() for line in screen.display]


def resize(terminal: int, columns: int, lines: int) -> None:
    """Give a terminal a size."""
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))


@contextmanager
def on_terminal(
    argv: Sequence[str], folder: Path, environ: Mapping[str, str], *, columns: int = 200, lines: int = 50
) -> Iterator[Terminal]:
    """Start a program on a terminal of its own, of this size; it ends with the block."""
    screen, inside = pty.openpty()
    resize(inside, columns, lines)
    env = {"TERM": "xterm", **{k: v for k, v in environ.items() if k not in ("COLUMNS", "LINES")}}
    process = subprocess.Popen(
        argv, cwd=folder, env=env, stdin=inside, stdout=inside, stderr=inside, start_new_session=True
    )
    os.close(inside)
    try:
        yield Terminal(process, screen, size=(columns, lines))
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        os.close(screen)
