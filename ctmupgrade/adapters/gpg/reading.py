"""One reading of an archive: gpg, the packets and the hash at the same time, all from one open file."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from typing import Any

from ctmupgrade.adapters.gpg.openpgp import ArchiveFile, StoppedError, signatures
from ctmupgrade.adapters.gpg.prefix_hash import Recorder
from ctmupgrade.adapters.gpg.verdict import Status
from ctmupgrade.adapters.gpg.way import Program

LEAST = 120.0  # seconds for gpg, and more for a large file:
_SLOWEST = 2_000_000  # bytes a second that it reads at least, even from a share
_PIECE = 1 << 16  # a hash is faster while the data are in the processor's cache


class _Hashing:
    """The hash of a file, by position: its offset belongs to gpg, which shares the descriptor."""

    def __init__(self, file: ArchiveFile) -> None:
        self._file, self.done = file, 0

    def run(self) -> Recorder:
        """Hash it all. :raises StoppedError: another reader has failed."""
        recorder = Recorder()
        while piece := os.pread(self._file.fd, _PIECE, self.done):
            if self._file.stop.is_set():
                raise StoppedError
            recorder.update(piece)
            self.done += len(piece)
        return recorder


def read_once(
    gpg: Program, file: ArchiveFile, progress: Callable[[int], None] | None
) -> tuple[Status, int, Recorder | None]:
    """Return what gpg says, the number of signatures, and the hash. The first failure stops all three.

    :param progress: told the bytes hashed so far, a few times a second, in the caller's thread; what it
        raises stops all too. None: no hash.
    :raises ShapeError: not one signed message. :raises UsageError: gpg does not end in time.
    """

    def check() -> Status:
        if file.stop.is_set():
            raise StoppedError
        return gpg.verify_descriptor(file.fd, LEAST + file.size / _SLOWEST)

    hashing = _Hashing(file)
    with ThreadPoolExecutor(3) as pool:
        try:  # gpg may run from here on, and the end of the block waits for it
            said, count = pool.submit(check), pool.submit(signatures, file)
            digest = pool.submit(hashing.run) if progress else None
            _attend([count, said, *([digest] if digest else ())], hashing, progress or (lambda _done: None))
            return said.result(), count.result(), digest.result() if digest else None
        except BaseException:
            file.stop.set()
            gpg.stop()
            raise


def _attend(jobs: list[Future[Any]], hashing: _Hashing, progress: Callable[[int], None]) -> None:
    waiting = set(jobs)
    while waiting:
        done, waiting = wait(waiting, 0.2, FIRST_EXCEPTION)
        for job in done:
            job.result()
        progress(hashing.done)
