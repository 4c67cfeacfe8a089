"""The programs that were taken from appliances, on this machine's disk: private, whole or not at all.

``<state folder>/<cluster>/ksctl/`` has ``program-SHA256`` (0700) and, for each node, ``NODE.json``: which program is
the node's, and of which of its versions. A program that is no node's any more is removed.
"""

from __future__ import annotations

import json
import os
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from hashlib import file_digest
from io import BufferedRandom
from pathlib import Path

from ctmupgrade.adapters.disk.durable import make_dirs, sync_dir
from ctmupgrade.adapters.disk.ownership import open_ours, read_ours, refuse_foreign
from ctmupgrade.adapters.disk.private_file import write_private

_PROGRAM, _ARRIVING = "program-", ".arriving-"
_LARGEST_RECORD = 65_536  # bytes
_SETTLED = 60.0  # seconds: another process may have kept a program and be about to write whose it is
_ABANDONED = 86_400.0  # seconds after which what a killed download left is removed


@dataclass(frozen=True, slots=True)
class Record:
    """What a node's program is.

    :ivar zipped: SHA-256 of the whole download. :ivar program: of the program in it. :ivar entry: its name there.
    :ivar platform: the machine that it is for. :ivar version: the node's when it was taken, "" where not yet known.
    """

    zipped: str
    program: str
    entry: str
    platform: str
    version: str = ""


@dataclass(frozen=True, slots=True)
class Arriving:
    """A file that is being written, and where it is."""

    file: BufferedRandom
    path: Path

    def sha256(self) -> str:
        """Return that of all that was written."""
        self.file.flush()
        self.file.seek(0)
        return file_digest(self.file, "sha256").hexdigest()


class Shelf:
    """One cluster's programs."""

    def __init__(self, home: Path) -> None:
        """:param home: the cluster's state folder."""
        self._folder = home / "ksctl"

    def record(self, node: str) -> Record | None:
        """Return what is kept for a node; None where nothing is, or what is there is not understood.

        :raises ForeignStateError: others could have put it there.
        """
        refuse_foreign(self._folder.parent.parent, self._folder.parent, self._folder)
        return self._read(self._place(node))

    def _read(self, path: Path) -> Record | None:
        try:
            found = json.loads(read_ours(path, _LARGEST_RECORD))
            record = Record(**{name: str(found[name]) for name in Record.__slots__})
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (OSError, ValueError, LookupError, TypeError, RecursionError):
            return None
        plain = all(c in "0123456789abcdef" for c in record.zipped + record.program)
        return record if plain and len(record.program) == 64 else None

    def program(self, record: Record) -> Path | None:
        """Return the path of a kept program, after a look at every byte of it; None where it is not the one recorded.

        :raises ForeignStateError: it is a link, or others may write to it.
        """
        path = self._folder / f"{_PROGRAM}{record.program}"
        try:
            with os.fdopen(open_ours(path), "rb") as file:
                mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
                whole = file_digest(file, "sha256").hexdigest() == record.program
        except OSError:
            return None
        return path if whole and mode == stat.S_IRWXU else None

    def write(self, node: str, record: Record) -> None:
        """Keep what a node's program is, durably, and remove what is no node's. :raises OSError: the disk does not take it."""
        data = json.dumps({"schema": 1, **asdict(record)}, indent=1).encode()
        write_private(self._place(node), data)
        sync_dir(self._folder)
        self._clear()

    def runs_programs(self) -> bool:
        """Return False where the state folder's file system is mounted ``noexec``."""
        there = next((path for path in self._folder.parents if path.is_dir()), self._folder)
        try:
            return not os.statvfs(there).f_flag & getattr(os, "ST_NOEXEC", 0)
        except OSError:  # then starting it tells
            return True

    @contextmanager
    def arriving(self) -> Iterator[Arriving]:
        """Give a new private file in the folder, to write and read; it is gone after the block, unless it was kept.

        :raises OSError: it cannot be made. :raises ForeignStateError: the folder is not ours alone.
        """
        make_dirs(self._folder)
        refuse_foreign(self._folder.parent.parent, self._folder.parent, self._folder)
        self._sweep()
        descriptor, name = tempfile.mkstemp(prefix=_ARRIVING, dir=self._folder)  # 0600, new, no link
        try:
            with os.fdopen(descriptor, "w+b") as file:
                yield Arriving(file, Path(name))
        finally:
            with suppress(OSError):
                Path(name).unlink()

    def keep(self, arrived: Arriving) -> str:
        """Make an arrived file a kept program, durably, and return its SHA-256. :raises OSError: the disk says no."""
        found = arrived.sha256()
        os.fchmod(arrived.file.fileno(), stat.S_IRWXU)
        os.fsync(arrived.file.fileno())
        arrived.path.rename(self._folder / f"{_PROGRAM}{found}")
        sync_dir(self._folder)
        return found

    def _place(self, node: str) -> Path:
        return self._folder / f"{node}.json"

    def _clear(self) -> None:
        """Remove the programs of earlier versions: one that runs goes on without its name."""
        records = [self._read(path) for path in self._folder.glob("*.json")]
        wanted = {f"{_PROGRAM}{record.program}" for record in records if record}
        for path in self._folder.glob(f"{_PROGRAM}*"):
            with suppress(OSError):
                if path.name not in wanted and time.time() - path.lstat().st_mtime > _SETTLED:
                    path.unlink()

    def _sweep(self) -> None:
        """Remove what killed downloads left."""
        for path in self._folder.glob(f"{_ARRIVING}*"):
            with suppress(OSError):
                if time.time() - path.lstat().st_mtime > _ABANDONED:
                    path.unlink()
