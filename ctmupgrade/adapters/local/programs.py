"""Runs the operator's programs: hooks and checks. Never through a shell; what they print is bounded and cleaned."""

from __future__ import annotations

import os
import shlex
import shutil
import stat
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from ctmupgrade.adapters.disk.ownership import exposed, user_name
from ctmupgrade.adapters.local.process import kill, network_environ
from ctmupgrade.core.clean_text import clean
from ctmupgrade.core.own_programs import OUTPUT_KEPT, shortened
from ctmupgrade.core.redact import foreign
from ctmupgrade.ports import ProgramResult

_TICK = 0.2  # seconds between looks at it
_LAST_WORDS = 1.0  # seconds that what it left behind may hold its output open
_PIECE = 65_536
_KEPT = 4 * OUTPUT_KEPT  # bytes at each end; a character has up to four


@dataclass(slots=True)
class _Output:
    """The beginning and the end of what a program prints. It is taken to its end, so that it never blocks."""

    head: bytearray = field(default_factory=bytearray)
    tail: bytearray = field(default_factory=bytearray)

    def take(self, descriptor: int) -> None:
        with suppress(OSError):
            while piece := os.read(descriptor, _PIECE):
                room = _KEPT - len(self.head)
                self.head += piece[:room]
                self.tail += piece[max(0, room) :]
                del self.tail[:-_KEPT]
        os.close(descriptor)

    @property
    def text(self) -> str:
        """Cleaned, redacted, cut."""
        return shortened(foreign(clean(bytes(self.head + self.tail).decode("utf-8", "replace"))).strip())


class LocalPrograms:
    """As :class:`ctmupgrade.ports.Programs`.

    :param folder: cluster.yaml's, where they start. :param withheld: variables with secrets of ours, never given.
    """

    def __init__(self, folder: Path, withheld: Sequence[str] = ()) -> None:
        self._folder, self._withheld = folder, frozenset(withheld)

    def run(
        self,
        argv: Sequence[str],
        *,
        variables: Mapping[str, str],
        names: Sequence[str],
        timeout: float,
        meanwhile: Callable[[], None] = lambda: None,
    ) -> ProgramResult:
        """Run one to its end, in a session of its own; see the port."""
        given = {n: os.environ[n] for n in names if n in os.environ and n not in self._withheld}
        environ = {**network_environ(), **given, **variables}
        problem = _unsafe(self._found(argv[0], environ))
        if problem:
            return ProgramResult(-1, error=f"{argv[0]}: {problem}")
        try:
            process = subprocess.Popen(
                list(argv), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                env=environ, cwd=self._folder, start_new_session=True,
            )  # fmt: skip
        except (OSError, ValueError) as error:
            why = error.strerror if isinstance(error, OSError) else str(error)
            return ProgramResult(-1, error=f"{argv[0]} cannot be started: {why}")
        return _attended(process, timeout, meanwhile)

    def _found(self, program: str, environ: Mapping[str, str]) -> Path | None:
        if "/" in program:
            return self._folder / program
        found = shutil.which(program, path=environ.get("PATH"))
        return Path(found) if found else None


def _unsafe(program: Path | None) -> str:
    """Why a program is not run: others could have written it. One that is missing is reported by its start."""
    if program is None:
        return ""
    try:
        about = program.stat()
    except OSError:
        return ""
    mode = stat.S_IMODE(about.st_mode)
    if about.st_uid not in (os.geteuid(), 0):
        return f"it belongs to {user_name(about.st_uid)}, who can change it: chown {user_name(os.geteuid())} {shlex.quote(str(program))}"
    if mode & (stat.S_IWGRP | stat.S_IWOTH):
        return f"others can write to it (mode {mode:04o}): chmod go-w {shlex.quote(str(program))}"
    return exposed(program)


def _attended(
    process: subprocess.Popen[bytes], timeout: float, meanwhile: Callable[[], None]
) -> ProgramResult:
    output, end = _Output(), time.monotonic() + timeout
    assert process.stdout is not None  # noqa: S101 - a pipe was asked for
    reader = threading.Thread(target=output.take, args=(os.dup(process.stdout.fileno()),), daemon=True)
    process.stdout.close()
    reader.start()
    error = ""
    try:
        while process.poll() is None and not error:
            meanwhile()
            with suppress(subprocess.TimeoutExpired):
                process.wait(min(_TICK, max(0.01, end - time.monotonic())))
            if process.returncode is None and time.monotonic() >= end:
                error = f"stopped: it did not end within {timeout:g} s"
    finally:
        if process.returncode is None:  # its time is over, or we are told to leave
            kill(process)
    reader.join(_LAST_WORDS)
    if error or process.returncode is None:
        return ProgramResult(-1, output.text, error or "stopped")
    code = process.returncode
    return ProgramResult(
        code if code >= 0 else -1, output.text, "" if code >= 0 else f"ended by signal {-code}"
    )
