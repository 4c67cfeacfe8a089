"""Terminals that outlive us: each is held by a small process of its own (:mod:`.terminal_holder`)."""

from __future__ import annotations

import codecs
import os
import subprocess
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from ctmupgrade.adapters.own_program import HOLD_TERMINAL, helper
from ctmupgrade.ports import Screenful

_KEPT = 256 * 1024  # bytes of a terminal's output that are kept between two looks
_PIECE = 65_536


class Screen:
    """What a terminal has said and nobody has looked at yet. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held = bytearray()
        self._cut = False
        self._done = False
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    @property
    def done(self) -> bool:
        """Return whether it has ended."""
        return self._done

    def add(self, piece: bytes) -> None:
        """Add output; only the last 256 KiB are kept."""
        with self._lock:
            self._held += piece
            if len(self._held) > _KEPT:
                del self._held[:-_KEPT]
                self._cut = True

    def end(self) -> None:
        """Take in that nothing more comes."""
        with self._lock:
            self._done = True

    def look(self) -> tuple[str, bool]:
        """Return what is new, and whether that was the end."""
        with self._lock:
            data, cut, done = bytes(self._held), self._cut, self._done
            self._held.clear()
            self._cut = False
        text = self._decoder.decode(data, final=done)
        return (f"\n[... earlier output was dropped ...]\n{text}" if cut else text), done


class HeldTerminal:
    """Implements :class:`ctmupgrade.ports.Terminal`: a program of this machine on a pseudo-terminal which is there
    for as long as the program is, whatever becomes of us. In a session of its own, where no Ctrl-C reaches it."""

    ends_with_us = ""

    def __init__(
        self,
        argv: Sequence[str],
        *,
        environ: Mapping[str, str],
        folder: Path | None = None,
        gate: Path | None = None,
    ) -> None:
        """:param gate: a FIFO from which the program reads a line, ``go``, before it acts. Until :meth:`release` there
            is none, and the program dies with us.
        :raises OSError: it cannot be started."""
        words = helper(HOLD_TERMINAL, str(gate or ""), *argv)
        self.process = subprocess.Popen(
            words,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # ours would be kept open for whoever waits for its end
            env={**environ, "TERM": "xterm"},
            cwd=folder,
            start_new_session=True,
        )
        self.screen = Screen()
        threading.Thread(target=self._drain, daemon=True).start()

    def release(self) -> None:
        """Let it through its gate; from now on it outlives us. Where it has ended, nothing happens."""
        if self.process.stdin is not None:
            with suppress(OSError):
                os.write(self.process.stdin.fileno(), b"go")

    def look(self) -> Screenful:
        """Return the new output, without waiting; at most the last 256 KiB of it. Never raises."""
        text, done = self.screen.look()
        return Screenful(text, done, self.code() if done else None)

    def code(self) -> int | None:
        """Return the program's exit status after its end; None where it was killed, or its terminal was."""
        code = self.process.returncode
        return code if code is not None and code >= 0 else None

    def close(self) -> None:
        """Let go. The output is still taken, so that the program does not block."""

    def _drain(self) -> None:
        if self.process.stdout is not None:
            with self.process.stdout as out, suppress(OSError):
                while piece := os.read(out.fileno(), _PIECE):
                    self.screen.add(piece)
        self.process.wait()
        if self.process.stdin is not None:
            with suppress(OSError):
                self.process.stdin.close()
        self.screen.end()
