"""The journal on disk. Hold the cluster's lock (:mod:`ctmupgrade.adapters.disk.lock`) to write it.

One event a line; each line carries the sha256 of the line before. That shows every change, removal or
reordering before the last line; the last line itself has no successor that vouches for it.
"""

from __future__ import annotations

import hashlib
import json
import os
import shlex
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Self

from ctmupgrade.adapters.disk.bounded_file import MIB
from ctmupgrade.adapters.disk.durable import failed, make_dirs, write_all, write_new
from ctmupgrade.adapters.disk.ownership import open_ours, refuse_foreign
from ctmupgrade.core.json_text import CutJsonError, read_json
from ctmupgrade.core.run.report import JournalHead
from ctmupgrade.errors import JournalError

FIRST_PREV = "0" * 64
MOST = 256 * MIB  # of a journal; the longest run seen has 3
_BROKEN = "the journal cannot be trusted: keep a copy of {0}, look at the nodes with `ctmupgrade check`, then `ctmupgrade abort {1}`, which sets it aside, and begin a new run"


@dataclass(frozen=True, slots=True)
class Line:
    """One event as written: ``seq`` counts from 1, ``at`` has a time zone, ``prev`` is the sha256 (hex) of
    the previous line without its newline, 64 zeros for the first."""

    seq: int
    at: datetime
    prev: str
    event: dict[str, object]


def _parse(raw: bytes) -> Line:
    """:raises ValueError: not a journal line; :class:`CutJsonError` where it is not even JSON."""
    try:
        value = read_json(raw.decode("utf-8"))
    except UnicodeDecodeError:
        raise CutJsonError("not UTF-8") from None
    match value:
        case {"seq": int(seq), "at": str(at), "prev": str(prev), "event": dict(event)}:
            return Line(seq, _moment(at), prev, event)
        case _:
            raise ValueError("no seq, at, prev or event")


def _moment(text: str) -> datetime:
    """:raises ValueError: no time with a zone, or none of this age, with which differences would overflow."""
    at = datetime.fromisoformat(text)
    if at.tzinfo is None or at.year not in range(1970, 2200):
        raise ValueError("no time of ours")
    return at


@dataclass(frozen=True, slots=True)
class _Problem:
    """What is wrong with a line. :ivar gap: numbers are missing before it."""

    text: str
    gap: bool = False


class _Chain:
    """A journal's bytes, taken apart: ``lines`` in file order, ``problems``, ``torn`` bytes at the end."""

    def __init__(self, data: bytes) -> None:
        self.lines: list[Line] = []
        self.problems: list[_Problem] = []
        self.torn = b""
        self.last = FIRST_PREV  # hash of the last whole line
        self.hashes: list[str] = []  # of each whole line
        self._top = 0
        self._seq = 0
        pieces = data.split(b"\n")
        rest = pieces.pop()
        for number, raw in enumerate(pieces, 1):
            at_end = number == len(pieces) and not rest
            try:
                line = _parse(raw)
            except ValueError as error:
                if at_end and isinstance(error, CutJsonError):
                    rest = raw + b"\n"
                else:
                    self._unreadable(number, error)
                continue
            self._judge(number, line)
            self.lines.append(line)
            self._seq, self._top = line.seq, max(self._top, line.seq)
            self.last = hashlib.sha256(raw).hexdigest()
            self.hashes.append(self.last)
        self.torn = rest

    def _unreadable(self, number: int, error: ValueError) -> None:
        self.problems.append(_Problem(f"line {number} was changed: it is not a journal line ({error})"))
        self._seq, self.last = self._seq + 1, ""  # the next line cannot match it: said once is enough
        self._top = max(self._top, self._seq)

    def _judge(self, number: int, line: Line) -> None:
        expected = self._seq + 1
        if line.seq == expected:
            if self.last and line.prev != self.last:
                what = f"line {number - 1} was changed: line {number} does not carry its hash"
                what = what if number > 1 else "line 1 was changed: its prev is not 64 zeros"
                self.problems.append(_Problem(what))
        elif line.seq <= self._top:
            what = f"line {number} was reordered or repeated: its seq {line.seq} comes after seq {self._top}"
            self.problems.append(_Problem(what))
        else:
            what = f"lines were removed before line {number}: seq {line.seq} follows seq {self._seq}"
            self.problems.append(_Problem(what, gap=True))

    def settled(self) -> list[str]:
        """The problems; a jump ahead whose missing numbers only stand elsewhere is part of a reordering."""
        present = {line.seq for line in self.lines if 1 <= line.seq <= self._top}
        whole = len(present) == self._top  # counted: a number that was changed may be anything
        return [one.text for one in self.problems if not (whole and one.gap)]


def _read(path: Path) -> _Chain:
    """:raises ForeignStateError: others could have written it. :raises JournalError: it cannot be read."""
    refuse_foreign(path.parent, *path.parent.parents[:2])
    try:
        with os.fdopen(open_ours(path), "rb") as file:
            data = file.read(MOST + 1)
        if len(data) > MOST:
            raise JournalError(f"{path}: the journal is longer than {MOST} bytes; no run writes so much")
        return _Chain(data)
    except OSError as error:
        raise JournalError(
            f"{path}: the journal cannot be read: {error.strerror}",
            remedy=f"ls -l {shlex.quote(str(path.parent))}",
        ) from error


def _load(path: Path) -> _Chain:
    chain = _read(path)
    if problems := chain.settled():
        remedy = _BROKEN.format(path, path.parent.name)
        raise JournalError(f"{path}: {problems[0]}", details="\n".join(problems[1:]), remedy=remedy)
    return chain


def read_journal(path: Path) -> tuple[list[Line], str | None]:
    """Read without changing anything, also while another process writes.

    :returns: the whole lines, and a remark where the last one is torn (it is left out).
    :raises JournalError: the file cannot be read or its chain is broken; the line is named.
    """
    chain = _load(path)
    torn = f"line {len(chain.lines) + 1} is torn ({len(chain.torn)} bytes)" if chain.torn else None
    return chain.lines, torn


def read_with_head(path: Path) -> tuple[list[Line], JournalHead]:
    """Return the whole lines, how many they are and the sha256 of the last one.

    :raises JournalError: the file cannot be read or its chain is broken; the line is named.
    """
    chain = _load(path)
    return chain.lines, JournalHead(len(chain.lines), chain.last)


def line_hashes(path: Path) -> list[str]:
    """Return the sha256 of each whole line, in their order. :raises JournalError: the file cannot be read."""
    return _read(path).hashes


def chain_of(data: bytes) -> tuple[list[Line], list[str]]:
    """Return a journal's lines and the sha256 of each, of its bytes.

    :raises JournalError: the chain is broken or the last line is torn; the line is named.
    """
    chain = _Chain(data)
    if problems := chain.settled() or (["the last line is torn"] if chain.torn else []):
        raise JournalError(problems[0], details="\n".join(problems[1:]))
    return chain.lines, chain.hashes


def verify_chain(path: Path) -> list[str]:
    """Return everything wrong with the journal, each naming the line: changed, removed, reordered, torn.

    :raises JournalError: the file cannot be read.
    """
    chain = _read(path)
    torn = [f"line {len(chain.lines) + 1} is torn ({len(chain.torn)} bytes)"] if chain.torn else []
    return chain.settled() + torn


class JournalFile:
    """The journal, open for appending. Hold the :class:`~ctmupgrade.adapters.disk.lock.ClusterLock`: there is one writer."""

    def __init__(
        self, path: Path, fd: int, length: int, seq: int, prev: str, *, durable: bool = True
    ) -> None:
        self.path = path
        self._fd = fd
        self._length = length  # bytes that are known to be whole lines
        self._seq = seq
        self._prev = prev
        self.head = JournalHead(seq, prev)  # one value: other threads read it
        self._durable = durable  # False: a simulated run's, whose world dies with its process anyway
        self._dirty = False  # there may be something after _length, and it is ours

    @classmethod
    def create(cls, path: Path, *, durable: bool = True) -> Self:
        """Return a new journal (0600) with its folders (0700).

        :raises JournalError: it exists, or cannot be made.
        """
        refuse_foreign(path.parent, *path.parent.parents[:2])
        try:
            make_dirs(path.parent)
            write_new(path, b"")
            return cls(
                path,
                open_ours(path, os.O_WRONLY | os.O_APPEND),
                0,
                0,
                FIRST_PREV,
                durable=durable,
            )
        except FileExistsError as error:
            raise JournalError(f"{path}: there is a journal already", remedy="ctmupgrade resume") from error
        except OSError as error:
            raise failed(path, "the journal cannot be created", error) from error

    @classmethod
    def open(cls, path: Path, *, durable: bool = True) -> Self:
        """Open for appending. A torn last line is cut off and kept as ``journal.torn-N`` next to it.

        :raises JournalError: broken anywhere else (the line is named), or it cannot be read or written.
        """
        chain = _load(path)
        try:
            fd = open_ours(path, os.O_RDWR | os.O_APPEND)
        except OSError as error:
            raise failed(path, "the journal cannot be opened", error) from error
        try:
            length = os.fstat(fd).st_size - len(chain.torn)
            if chain.torn:
                _keep_torn(path, chain.torn)
                os.ftruncate(fd, length)
                os.fsync(fd)
        except OSError as error:
            os.close(fd)
            raise failed(path, "the torn last line cannot be cut off", error) from error
        return cls(path, fd, length, len(chain.lines), chain.last, durable=durable)

    def append(self, event: Mapping[str, object], at: datetime) -> None:
        """Write one line; it is on disk when this returns. Where it fails nothing of it stays, and the
        next call may work again.

        :param at: with time zone.
        :raises JournalError: it is not on disk.
        :raises ValueError: ``at`` has no time zone, or ``event`` is not JSON (TypeError likewise).
        """
        if at.tzinfo is None:
            raise ValueError("a time zone is needed")
        seq = self._seq + 1
        value = {"seq": seq, "at": at.isoformat(), "prev": self._prev, "event": dict(event)}
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        raw = text.encode("utf-8", "replace")  # half a character of a node's must not keep an event out
        try:
            self._ours()
            self._dirty = True
            write_all(self._fd, raw + b"\n")
            if self._durable:
                os.fsync(self._fd)
        except BaseException as error:  # Ctrl-C as well: half a line must not stay
            if self._dirty:
                with suppress(OSError):
                    self._roll_back()
            if isinstance(error, OSError):
                raise failed(self.path, "the journal cannot be written", error) from error
            raise
        self._length += len(raw) + 1
        self._seq, self._prev = seq, hashlib.sha256(raw).hexdigest()
        self.head = JournalHead(self._seq, self._prev)
        self._dirty = False

    def _roll_back(self) -> None:
        os.ftruncate(self._fd, self._length)
        self._dirty = False
        os.fsync(self._fd)

    def _ours(self) -> None:
        """The file at our path is the one we hold, and ends where we ended."""
        if self._dirty:
            self._roll_back()
        held = os.fstat(self._fd)
        there = os.stat(self.path)  # noqa: PTH116 - its OSError is handled by the caller
        if (held.st_dev, held.st_ino, held.st_size) != (there.st_dev, there.st_ino, self._length):
            what = f"{self.path}: the journal was replaced or written by somebody else"
            raise JournalError(
                what, remedy=f"ls -l {shlex.quote(str(self.path.parent))}; then: ctmupgrade resume"
            )

    def lines(self) -> list[Line]:
        """Return all lines, read again. :raises JournalError: they do not hold together."""
        return read_journal(self.path)[0]

    def close(self) -> None:
        """Let go of the file. May be called twice."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def _keep_torn(path: Path, torn: bytes) -> None:
    number = 1
    while True:
        try:
            return write_new(path.with_name(f"{path.stem}.torn-{number}"), torn)
        except FileExistsError:
            number += 1
