"""The shape of an OpenPGP file: whether it is one signed message and nothing else.

gpg accepts data behind a compressed message (seen with 2.2.40: exit code 0 for two of them in a row), so
its packets are walked over here. Nothing cryptographic is decided.
"""

from __future__ import annotations

import bz2
import os
import re
import threading
import zlib
from typing import Protocol

AGAIN = "download the archive again and compare its size and checksum with the vendor's page"
VENDOR = "use the vendor's signed archive (*.tar.gz.gpg) as it was downloaded"
REPORT = f"do not use this file; {AGAIN}; if the result is the same, inform the vendor"
# Packet tags (RFC 4880, 4.3) as letters, so that a file's shape is a word: o(ne-pass signature) l(iteral) s(ignature).
_LETTERS = {
    4: "o",
    11: "l",
    2: "s",
    8: "c",
    1: "e",
    3: "e",
    9: "e",
    18: "e",
    20: "e",
    5: "k",
    6: "k",
    7: "k",
    14: "k",
}


class ShapeError(Exception):
    """The file is not one signed message: ``what`` in words, and the remedy."""

    def __init__(self, what: str, remedy: str) -> None:
        super().__init__(what)
        self.what, self.remedy = what, remedy


class StoppedError(Exception):
    """Another thread has failed; go no further."""


def _cut() -> ShapeError:
    return ShapeError("is truncated: it ends in the middle of the signed data", AGAIN)


def _further() -> ShapeError:
    return ShapeError("holds further data behind the signed message", REPORT)


# What a compressed message may hold: an archive is compressed inside already and becomes no smaller. What becomes
# a thousand times larger is there to keep a program busy.
MOST_TIMES = 64
MOST_MORE = 256 * 2**20  # bytes besides
LEAST_PARTIAL = 512  # bytes (RFC 4880, 4.2.2.4, of the first one); all programs write all of them so


class _Source(Protocol):
    stop: threading.Event

    def take(self, most: int) -> bytes: ...  # b"" at the end
    def skip(self, count: int) -> None: ...  # ShapeError where there is less


class ArchiveFile:
    """The archive by position, so that threads share a descriptor; and the flag that stops them all."""

    def __init__(self, fd: int, size: int) -> None:
        self.fd, self.size, self.at, self.stop = fd, size, 0, threading.Event()

    def take(self, most: int) -> bytes:
        """Return the next ``size`` bytes; :raises: where fewer are left."""
        if self.stop.is_set():
            raise StoppedError
        got = os.pread(self.fd, most, self.at)
        self.at += len(got)
        return got

    def skip(self, count: int) -> None:
        """Pass over ``size`` bytes."""
        self.at += count
        if self.at > self.size:
            raise _cut()


class _Body:
    """A packet's content, put together from its pieces. ``left`` None: it goes on to the end."""

    def __init__(self, source: _Source) -> None:
        self.source, self.stop, self.more = source, source.stop, False
        self.left: int | None = 0
        first = source.take(1)
        self.end, self.tag = not first, -1
        if first and first[0] & 0x80:
            new = first[0] & 0x40
            self.tag = first[0] & 0x3F if new else (first[0] >> 2) & 0x0F
            self.old_size = None if new else (1, 2, 4, 0)[first[0] & 3]
            self._length()

    def _number(self, count: int) -> int:
        raw = b""
        while len(raw) < count:
            raw += (piece := self.source.take(count - len(raw)))
            if not piece:
                raise _cut()
        return int.from_bytes(raw, "big")

    def _length(self) -> None:
        if self.old_size is not None:
            self.left = self._number(self.old_size) if self.old_size else None
            return
        first = self._number(1)
        self.more = 224 <= first < 255
        if self.more:
            self.left = 1 << (first & 31)
            if self.left < LEAST_PARTIAL:
                raise ShapeError(
                    f"is damaged or was made to keep a program busy: a part of {self.left} bytes", REPORT
                )
        elif first < 192:
            self.left = first
        else:
            self.left = self._number(4) if first == 255 else ((first - 192) << 8) + self._number(1) + 192

    def take(self, most: int) -> bytes:
        while self.left == 0 and self.more:
            self._length()
        got = self.source.take(most if self.left is None else min(most, self.left)) if self.left != 0 else b""
        if self.left:
            if not got:
                raise _cut()
            self.left -= len(got)
        return got

    def skip(self, count: int) -> None:
        _skip(self, count)

    def drain(self) -> None:
        while self.left is not None and (self.left or self.more):
            self.source.skip(self.left)
            self.left = 0
            if self.more:
                self._length()
        while self.left is None and self.take(1 << 16):
            pass


def _skip(source: _Source, count: int) -> None:
    while count:
        got = source.take(min(count, 1 << 16))
        if not got:
            raise _cut()
        count -= len(got)


class _Inflated:
    """What a compressed packet holds, a piece at a time. :param most: bytes, all together."""

    def __init__(self, body: _Body, most: int) -> None:
        self.body, self.stop, self.left = body, body.stop, most
        self.out, self.at = b"", 0
        kind = body.take(1)
        if kind not in (b"\1", b"\2", b"\3"):
            raise ShapeError("is compressed in a way nobody uses, or damaged", AGAIN)
        self.bz = bz2.BZ2Decompressor() if kind == b"\3" else None
        self.z = zlib.decompressobj(-15 if kind == b"\1" else 15)

    @property
    def done(self) -> bool:
        return self.bz.eof if self.bz else self.z.eof

    def take(self, most: int) -> bytes:
        if self.stop.is_set():
            raise StoppedError
        while self.at == len(self.out) and not self.done:
            self._more()
        got = self.out[self.at : self.at + most]
        self.at += len(got)
        return got

    def _more(self) -> None:
        if self.stop.is_set():
            raise StoppedError
        hungry = self.bz is None or self.bz.needs_input
        fed = self.body.take(1 << 14) if hungry else b""
        if hungry and not fed:
            raise _cut()
        try:  # 16 KiB hold at most 16 MiB of deflated data; bzip2 needs the limit
            self.out, self.at = self.bz.decompress(fed, 1 << 20) if self.bz else self.z.decompress(fed), 0
        except (zlib.error, OSError, ValueError) as error:
            raise ShapeError(
                "is damaged or was altered: its compressed data do not add up", REPORT
            ) from error
        self.left -= len(self.out)
        if self.left < 0:
            raise ShapeError("holds far more than its size allows: a compression bomb", REPORT)

    def skip(self, count: int) -> None:
        _skip(self, count)

    def finish(self) -> None:
        unused = self.bz.unused_data if self.bz else self.z.unused_data
        if unused or self.body.take(1):
            raise _further()


def signatures(source: ArchiveFile) -> int:
    """Walk over the packets; return how many signatures the one signed message has.

    :raises ShapeError: it is not one signed message. :raises StoppedError: another reader has failed.
    """
    return _walk(source, MOST_MORE + MOST_TIMES * source.size)


def _walk(source: _Source, most: int, inner: bool = False) -> int:
    """:param most: bytes that a compressed message may hold."""
    word, count = "", 0
    while not (body := _next(source, _whole(word))).end:
        letter = _LETTERS.get(body.tag, "x")
        if _whole(word):
            several = "several OpenPGP messages, one behind the other"
            raise ShapeError(f"holds {several}", REPORT) if letter in "olsce" else _further()
        word += letter
        _sensible(word, inner)
        if letter == "c":
            packed = _Inflated(body, most)
            count = _walk(packed, most, inner=True)
            packed.finish()
        body.drain()
    if word == "c":
        return count
    if re.fullmatch(r"s+", word):
        raise ShapeError("is a detached signature without the archive", "give the archive; " + VENDOR)
    if not _whole(word):
        raise _cut()
    return word.count("s")


def _whole(word: str) -> bool:
    """The packets so far are a signed message to which nothing can be added."""
    return bool(re.fullmatch(r"(o+)ls+|s+l|c", word)) and (
        word[0] != "o" or word.count("o") == word.count("s")
    )


def _next(source: _Source, last: bool) -> _Body:
    try:
        return _Body(source)
    except ShapeError as error:
        raise (_further() if last else error) from error


def _sensible(word: str, inner: bool) -> None:
    if "e" in word:
        raise ShapeError("is encrypted: a signature inside cannot be seen", VENDOR)
    if word[0] == "k":
        raise ShapeError(
            "is a key, not an archive", "set target.archive to the archive, target.keyring to the key"
        )
    if word[0] == "l":
        raise ShapeError("is OpenPGP data that is not signed at all", VENDOR)
    if len(word) > 64 or not re.fullmatch(r"o+l?s*|s+l?|c", word) or (inner and word == "c"):
        damaged = "is damaged, was altered, or is no OpenPGP data: no signed message is built like this"
        raise ShapeError(damaged, REPORT)


def peek(head: bytes) -> None:
    """Refuse what is plainly something else, before anything is started."""
    text = head.lstrip()
    if not head:
        raise ShapeError("is empty (0 bytes)", AGAIN)
    if text.startswith(b"-----BEGIN PGP SIGNED MESSAGE"):
        raise ShapeError("is a clearsigned text, not an archive", VENDOR)
    if text.startswith(b"-----BEGIN PGP SIGNATURE"):
        raise ShapeError("is a detached signature without the archive", "give the archive; " + VENDOR)
    if text.startswith(b"-----BEGIN PGP MESSAGE"):  # gpg ignores whatever stands around the armor
        raise ShapeError("is in ASCII armor; only the binary form can be checked as a whole", VENDOR)
    if head.startswith(b"\x1f\x8b"):
        raise ShapeError("is not signed at all: it is a plain gzip file", VENDOR)
    if not head[0] & 0x80:
        raise ShapeError("is not signed at all: it is no OpenPGP data", VENDOR)
