"""Questions to the person at the terminal: always seen, answered by y, n or Ctrl-C."""

from __future__ import annotations

import signal
import sys
import termios
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress

from ctmupgrade.cli.given import Common, Format
from ctmupgrade.errors import UsageError

NOTHING = "nothing is changed"
AS_IT_IS = "the run stays as it is"


def at_terminal(common: Common) -> bool:
    """Return whether a person can be asked: input and what is shown are a terminal, and no program reads JSON."""
    return common.shown is not Format.JSON and sys.stdin.isatty() and sys.stdout.isatty()


def need_terminal(option: str) -> None:
    """Refuse, before anything is done, an option that asks where nobody can be asked.

    :raises UsageError: there is no terminal.
    """
    if not sys.stdin.isatty():
        raise UsageError(f"{option} asks, and there is no terminal", remedy=f"leave {option} out")


_listeners: list[Callable[[str], None]] = []


@contextmanager
def heard(tell: Callable[[str], None]) -> Iterator[None]:
    """Call ``tell`` with each question that is asked meanwhile, when it waits for its answer."""
    _listeners.append(tell)
    try:
        yield
    finally:
        _listeners.remove(tell)


def ask(
    question: str, lines: Iterable[str] = (), *, no: str = "", json: bool = False, fresh: bool = False
) -> bool:
    """Ask a question; everything but y and yes is a no.

    :param lines: said before it. :param no: what a no and Ctrl-C mean: "nothing is changed".
    :param json: standard output belongs to a document. :param fresh: what was typed before it was asked answers nothing.
    :raises UsageError: there is no terminal. :raises KeyboardInterrupt: Ctrl-C, also while a run is attended.
    """
    if not sys.stdin.isatty():
        raise UsageError("a question must be answered and there is no terminal", remedy="--yes answers it")
    out = sys.stderr if json else sys.stdout
    for line in (*lines, *([f"n or Ctrl-C: {no}."] if no else [])):
        out.write(f"{line}\n")
    with _ctrl_c_ends():
        if fresh:
            with suppress(OSError):
                termios.tcflush(sys.stdin, termios.TCIFLUSH)
        with _ctrl_c_later():
            out.write(f"{question} [y/N]: ")
            out.flush()
            for tell in _listeners:
                tell(question)
        answer = sys.stdin.readline()
        if not answer.endswith("\n"):
            out.write("\n")
    return answer.strip().lower() in ("y", "yes")


@contextmanager
def _ctrl_c_ends() -> Iterator[None]:
    """While a question waits, Ctrl-C answers it: a run's own handler would only take note and ask again."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    except KeyboardInterrupt:
        sys.stdout.write("\n")
        raise
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def _ctrl_c_later() -> Iterator[None]:
    """Keep Ctrl-C back for the moment in which the question is written: in the middle of it, it would be written twice.

    :raises KeyboardInterrupt: it came, and the question is written. A mask would not do: another thread would take the
        signal, and this one be interrupted all the same.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _frame: came.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if came:
        raise KeyboardInterrupt
