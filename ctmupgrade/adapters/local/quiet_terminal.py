"""A pseudo-terminal for a program that asks for a password there."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

from ctmupgrade.errors import NodeError


@contextmanager
def quiet_terminal(place: str) -> Iterator[tuple[IO[bytes], IO[bytes]]]:
    """Give (master, slave) of a pseudo-terminal that does not echo."""
    if sys.platform == "win32":
        raise NodeError(f"{place}: password prompts cannot be answered on Windows")
    import termios  # noqa: PLC0415 - not on every platform

    numbers = os.openpty()
    with (
        os.fdopen(numbers[0], "wb", buffering=0) as master,
        os.fdopen(numbers[1], "rb", buffering=0) as slave,
    ):
        modes = termios.tcgetattr(slave)
        modes[3] &= ~termios.ECHO
        termios.tcsetattr(slave, termios.TCSANOW, modes)
        yield master, slave
