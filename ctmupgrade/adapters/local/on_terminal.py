"""A helper (:mod:`.own_program`) that makes its standard input its controlling terminal, then becomes a program.

A program of its own, because ``preexec_fn`` is not safe in a process with threads.
"""

from __future__ import annotations

import fcntl
import os
import sys
import termios


def become(argv: list[str]) -> int:
    """Become ``argv``. Returns only where that fails: 127, as a shell says it."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    try:
        os.execvp(argv[0], argv)  # noqa: S606 - no shell is wanted
    except OSError as error:
        sys.stderr.write(f"{argv[0]}: {error.strerror}\n")
    return 127
