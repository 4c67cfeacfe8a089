"""Holds the terminal of a program that must outlive whoever started it: a helper of :mod:`.own_program`.

    --hold-terminal GATE PROGRAM ARGUMENT...

Who dies takes its terminals along, and what runs on them gets SIGHUP. ``ks_upgrade.sh`` has a screen session of its
own only some moments after its start (docs/appliance.md 1), and an appliance on which it has none at all is possible. So its
terminal belongs to this process: it passes on what the program says for as long as somebody reads it, throws it away
after that, and ends with the program and with the program's exit status.

GATE, where it is not empty, is a FIFO from which the program reads before it does anything that must not be done
twice. Until the starter has said so (anything on standard input) nothing is written there, and a starter that dies
before takes the program along.
"""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import termios
from contextlib import suppress

_ROWS, _COLUMNS = 50, 200
_KEPT = 256 * 1024  # bytes kept for a reader that is slow, or stopped for a while
_PIECE = 65_536
_GAP = b"\r\n[... earlier output was dropped ...]\r\n"


def hold(gate: str, argv: list[str]) -> int:
    """Run ``argv`` on a terminal; return its exit status, or end by the signal that ended it."""
    code = _run(gate, argv)
    if code < 0:
        with suppress(OSError):  # SIGKILL's cannot be set
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    return code


def _run(gate: str, argv: list[str]) -> int:
    """The exit status, negative for a signal as subprocess has it."""
    for number in (signal.SIGHUP, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    # For reading too: neither end then waits for the other, and with our end the reader sees the end.
    fifo = os.open(gate, os.O_RDWR | os.O_CLOEXEC) if gate else -1
    pid, master = pty.fork()
    if pid == 0:
        if gate:  # what must not go on without us; other programs do, should we be killed
            signal.signal(signal.SIGHUP, signal.SIG_DFL)
        _become(argv)
    _carry(pid, master, fifo)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def _become(argv: list[str]) -> None:
    fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", _ROWS, _COLUMNS, 0, 0))
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # Python ignores it
    try:
        os.execvp(argv[0], argv)  # noqa: S606 - no shell is wanted
    except OSError as error:
        os.write(2, f"{argv[0]}: {error.strerror}\n".encode())
    os._exit(127)


def _carry(pid: int, master: int, fifo: int) -> None:
    """From the terminal to our standard output, until the program lets go of the terminal."""
    held = bytearray()
    reading, shut = True, fifo >= 0
    while True:
        sources = [master, 0] if shut else [master]
        ready, free, _ = select.select(sources, [1] if reading and held else [], [])
        if 0 in ready:
            shut = False
            if os.read(0, _PIECE):
                os.write(fifo, b"go\n")
            else:
                _end(pid)
        if free:
            reading = _pass_on(held)
        if master in ready:
            piece = _read(master)
            if not piece:
                break
            held += piece if reading else b""
            if len(held) > _KEPT:
                held[: held.find(b"\n", len(held) - _KEPT) + 1 or -_KEPT] = _GAP
    while reading and held:
        reading = _pass_on(held)


def _end(pid: int) -> None:
    """The program, with its children where it has a group of its own by now."""
    with suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)
    os.kill(pid, signal.SIGKILL)


def _read(master: int) -> bytes:
    try:
        return os.read(master, _PIECE)
    except OSError:  # EIO: nobody has the other end any more
        return b""


def _pass_on(held: bytearray) -> bool:
    """Writes some of it; False: nobody reads any more."""
    try:
        del held[: os.write(1, held[: select.PIPE_BUF])]
    except OSError:
        held.clear()
        return False
    return True
