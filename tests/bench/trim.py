"""Gives the memory of growing files back, so that twenty archives go where not all of them have room."""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

WINDOW = 64 << 20  # bytes at the end of each file that stay: before them nothing is written any more
EVERY = 0.1  # seconds between two looks at a file
_PUNCH = 1 | 2  # FALLOC_FL_KEEP_SIZE and FALLOC_FL_PUNCH_HOLE of linux/falloc.h


def give_back(path: Path, keep: int = WINDOW) -> None:
    """Makes a hole of all but the last ``keep`` bytes. The size stays. A file that is not there yet has nothing.

    :raises OSError: the file system makes no holes.
    """
    with suppress(FileNotFoundError), path.open("r+b") as file:
        if (length := os.fstat(file.fileno()).st_size - keep) > 0:
            libc = ctypes.CDLL(None, use_errno=True)
            at, size = ctypes.c_int64(0), ctypes.c_int64(length)
            if libc.fallocate(file.fileno(), _PUNCH, at, size):
                raise OSError(ctypes.get_errno(), "no holes in files here", str(path))


@contextmanager
def kept_short(files: Sequence[Path]) -> Iterator[None]:
    """Gives back what comes into the files for as long as the block takes. :raises OSError: it cannot."""
    over, failed = threading.Event(), []

    def loop(file: Path) -> None:
        try:
            while not over.wait(EVERY):
                give_back(file)
        except OSError as error:
            failed.append(error)

    # A thread each: making a hole waits for whoever is writing to that file.
    threads = [threading.Thread(target=loop, args=(file,)) for file in files]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join()
    if failed:
        raise failed[0]
