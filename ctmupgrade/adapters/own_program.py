"""This program, started a second time as a small helper. The only place that knows what ``sys.executable`` is.

Installed, that is a Python, which must be told where our modules are. In the one file (scripts/build) it is this program
itself: there is no Python and no file of ours that could be named. So a helper is a first word that ``__main__`` knows
and no person types.
"""

from __future__ import annotations

import os
import stat
import sys
from contextlib import suppress

HOLD_TERMINAL = "--hold-terminal"  # adapters/local/terminal_holder.py
ON_TERMINAL = "--on-terminal"  # adapters/local/on_terminal.py
REMOVE_AFTER_US = "--remove-after-us"  # adapters/disk/remover.py
HELPERS = (HOLD_TERMINAL, ON_TERMINAL, REMOVE_AFTER_US)
# Without site: starting it takes a third of the time. Our places in the order in which we look.
_START = "import sys; sys.path[:] = sys.argv.pop(1).split(':'); from ctmupgrade.__main__ import main; sys.exit(main())"


def is_one_file() -> bool:
    """Return whether this is the one file, which has no Python beside it."""
    return bool(getattr(sys, "frozen", False))


def helper(word: str, *words: str) -> list[str]:
    """Return the argv of one of :data:`HELPERS`.

    It must be started in a session of its own (``start_new_session``); else it refuses, see :func:`was_typed`.
    """
    if is_one_file():
        return [sys.executable, word, *words]
    places = os.pathsep.join(place for place in sys.path if os.path.isabs(place))  # noqa: PTH117 - a str, not a Path
    return [sys.executable, "-I", "-S", "-c", _START, places, word, *words]


def was_typed() -> bool:
    """Return whether a person typed a helper's word, and not this program.

    Whoever may run nothing but ctmupgrade gets no other program by a helper: no shell starts a program as the leader of a
    session. An SSH server does, but with a terminal that is the session's already, or with a socket.
    """
    if os.getsid(0) != os.getpid():
        return True
    with suppress(OSError):
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
        return True
    kind = os.fstat(0).st_mode
    return not (stat.S_ISFIFO(kind) or stat.S_ISCHR(kind))
