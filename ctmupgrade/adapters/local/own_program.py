"""This program, started a second time as a small helper. The only place that knows what ``sys.executable`` is.

Installed, that is a Python, which must be told where our modules are. In the one file (scripts/build) it is this program
itself: there is no Python and no file of ours that could be named. So a helper is a first word that ``__main__`` knows
and no person types.
"""

from __future__ import annotations

import os
import sys

HOLD_TERMINAL = "--hold-terminal"  # :mod:`.terminal_holder`
ON_TERMINAL = "--on-terminal"  # :mod:`.on_terminal`
HELPERS = (HOLD_TERMINAL, ON_TERMINAL)
# Without site: starting it takes a third of the time. Our places in the order in which we look.
_START = "import sys; sys.path[:] = sys.argv.pop(1).split(':'); from ctmupgrade.__main__ import main; sys.exit(main())"


def is_one_file() -> bool:
    """Return whether this is the one file, which has no Python beside it."""
    return bool(getattr(sys, "frozen", False))


def helper(word: str, *words: str) -> list[str]:
    """Return the argv of one of :data:`HELPERS`.

    It must be started in a session of its own (``start_new_session``); else it refuses, see :func:`run_helper`.
    """
    if is_one_file():
        return [sys.executable, word, *words]
    places = os.pathsep.join(place for place in sys.path if os.path.isabs(place))  # noqa: PTH117 - a str, not a Path
    return [sys.executable, "-I", "-S", "-c", _START, places, word, *words]


def run_helper(word: str, words: list[str]) -> int:
    """Be one of :data:`HELPERS`; return its exit status.

    No shell starts a program as the leader of a session: what was typed by somebody who may run nothing but ctmupgrade
    is refused with 2.
    """
    if os.getsid(0) != os.getpid():
        sys.stderr.write(f"ctmupgrade: {word} is no option: ctmupgrade starts it itself\n")
        return 2
    if word == HOLD_TERMINAL:
        from ctmupgrade.adapters.local.terminal_holder import hold  # noqa: PLC0415 - each helper loads itself alone

        return hold(words[0], words[1:])
    from ctmupgrade.adapters.local.on_terminal import become  # noqa: PLC0415 - as above

    return become(words)
