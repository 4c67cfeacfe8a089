"""One reading of an archive by three readers: whenever it is left, gpg is ended and not waited for."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

import pytest

from ctmupgrade.adapters.gpg.openpgp import ArchiveFile
from ctmupgrade.adapters.gpg.reading import read_once
from ctmupgrade.adapters.gpg.verdict import Status

FOR_EVER = 20.0  # seconds


class _Interrupting:
    """A program that Ctrl-C comes with: the others are not started yet."""

    def __init__(self) -> None:
        self.stopped = threading.Event()

    def verify_descriptor(self, fd: int, limit: float) -> Status:
        os.kill(os.getpid(), signal.SIGINT)
        self.stopped.wait(FOR_EVER)
        return Status(self)

    def stop(self) -> None:
        self.stopped.set()


def test_ctrl_c_while_the_readers_are_started_ends_gpg(tmp_path: Path) -> None:
    archive, program = tmp_path / "a", _Interrupting()
    archive.write_bytes(b"x" * 1000)
    began = time.monotonic()
    with archive.open("rb") as file, pytest.raises(KeyboardInterrupt):
        read_once(program, ArchiveFile(file.fileno(), 1000), lambda _done: None)
    assert program.stopped.is_set() and time.monotonic() - began < FOR_EVER
