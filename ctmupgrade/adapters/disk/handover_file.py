"""The file in which a run goes to another machine: a plain tar archive whose first member says what else is in it.

It comes from outside. No name in it becomes a path: members are looked for by the names that this program gives them, in
the order in which the first one lists them, and what lists another name, size or hash is refused. The digest of the
first member stands on the nodes, so that a file which was changed on its way is not the one that they offer.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shlex
import tarfile
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from ctmupgrade.adapters.disk.bounded_file import MIB
from ctmupgrade.adapters.disk.durable import sync_dir
from ctmupgrade.adapters.disk.journal_file import MOST as MOST_JOURNAL
from ctmupgrade.adapters.disk.ownership import open_ours
from ctmupgrade.core.json_text import BadJsonError, read_json
from ctmupgrade.errors import ForeignStateError, UsageError

ABOUT, SUMMARY, CLUSTER, JOURNAL = "handover.json", "summary.md", "cluster.yaml", "journal.jsonl"
_MOST = {SUMMARY: MIB, CLUSTER: MIB, JOURNAL: MOST_JOURNAL}
_MOST_FILES = 400
_BLOCK = tarfile.BLOCKSIZE
_PIECE = MIB
_FILE = re.compile(r"files/[0-9]{4}", re.ASCII)
_NAME = re.compile(r"(?!\.)[^/\x00-\x1f\x7f]{1,250}")
_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Member:
    """One member as the first one lists it. :ivar name: of the file it becomes; "" for a text."""

    member: str
    size: int
    sha256: str
    name: str = ""
    offset: int = 0


@dataclass(frozen=True, slots=True)
class Packed:
    """A hand-over file that was read: its head, its texts, and where the files in it are.

    :ivar digest: sha256 of the first member, which vouches for all others."""

    path: Path
    digest: str
    about: Mapping[str, Any]
    texts: Mapping[str, bytes]
    files: tuple[Member, ...]


class Draft:
    """A hand-over file under its temporary name."""

    def __init__(self, path: Path) -> None:
        """:raises UsageError: something is there, or nothing can be written there."""
        self.path = path
        if os.path.lexists(path):
            raise UsageError(f"{path}: it is there already", remedy="name a new file")
        try:
            descriptor, part = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)  # 0600
        except OSError as error:
            raise UsageError(
                f"{path}: {error.strerror}",
                remedy=f"ls -ld {shlex.quote(str(path.parent))}; df {shlex.quote(str(path.parent))}",
            ) from error
        self._part, self._file = Path(part), os.fdopen(descriptor, "wb")

    def write(self, about: Mapping[str, Any], texts: Mapping[str, bytes], files: Sequence[Path]) -> str:
        """Pack everything; return the digest of the first member.

        :raises OSError: a file cannot be read, was changed meanwhile, or the disk does not take it.
        """
        listed = [Member(name, len(data), hashlib.sha256(data).hexdigest()) for name, data in texts.items()]
        listed += [_member(number, path) for number, path in enumerate(files)]
        rows = [{"member": m.member, "size": m.size, "sha256": m.sha256, "name": m.name} for m in listed]
        head = json.dumps({"schema": 1, **about, "members": rows}, indent=1).encode()
        self._put(ABOUT, len(head), [head])
        for one, data in zip(listed, texts.values(), strict=False):
            self._put(one.member, one.size, [data])
        for one, path in zip(listed[len(texts) :], files, strict=True):
            with path.open("rb") as source:
                self._put(one.member, one.size, iter(lambda: source.read(_PIECE), b""))
        self._file.write(bytes(2 * _BLOCK))
        self._file.flush()
        os.fsync(self._file.fileno())
        return hashlib.sha256(head).hexdigest()

    def _put(self, name: str, size: int, pieces: Any) -> None:
        info = tarfile.TarInfo(name)
        info.size, info.mode = size, 0o600
        self._file.write(info.tobuf(tarfile.GNU_FORMAT, "utf-8", "strict"))
        written = sum(self._file.write(piece) for piece in pieces)
        if written != size:
            raise OSError(f"{name}: it has {written} bytes, not {size}: it was changed while it was packed")
        self._file.write(bytes(-size % _BLOCK))

    def keep(self) -> None:
        """Give it its name. :raises OSError: it cannot be had."""
        self._file.close()
        os.link(self._part, self.path)  # never over another file
        self._part.unlink()
        sync_dir(self.path.parent)

    def drop(self) -> None:
        """Remove what was not kept."""
        self._file.close()
        with suppress(OSError):
            self._part.unlink()


def _member(number: int, path: Path) -> Member:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return Member(f"files/{number:04}", path.stat().st_size, digest, path.name)


def read_packed(path: Path) -> Packed:
    """Read a hand-over file; the files in it are only located.

    :raises UsageError: it cannot be read, is damaged, or is none.
    """
    try:
        with os.fdopen(open_ours(path), "rb") as file:
            return _read(path, file, os.fstat(file.fileno()).st_size)
    except ForeignStateError:
        raise
    except FileNotFoundError as error:
        remedy = "name the file that `ctmupgrade handover FILE` wrote on the other machine"
        raise UsageError(f"{path}: there is no such file", remedy=remedy) from error
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}", remedy=f"ls -l {shlex.quote(str(path))}") from error


def _refusal(path: Path, why: str) -> UsageError:
    return UsageError(
        f"{path}: it is no whole hand-over file of ctmupgrade: {why}",
        remedy="copy it again, or: ctmupgrade handover FILE   # on the machine that the run was on",
    )


def _read(path: Path, file: IO[bytes], size: int) -> Packed:
    head = _body(path, file, ABOUT, MIB, None)
    try:
        about = read_json(head.decode("utf-8"))
    except (BadJsonError, UnicodeDecodeError) as error:
        raise _refusal(path, f"{ABOUT}: {error}") from None
    members = _listed(path, about)
    texts: dict[str, bytes] = {}
    files: list[Member] = []
    for one in members:
        if one.member in _MOST:
            texts[one.member] = _body(path, file, one.member, _MOST[one.member], one.size)
            if hashlib.sha256(texts[one.member]).hexdigest() != one.sha256:
                raise _refusal(path, f"{one.member} is not what was packed")
            continue
        _header(path, file, one.member, one.size)
        offset = file.tell()
        if offset + one.size > size:
            raise _refusal(path, "its end is missing")
        files.append(Member(one.member, one.size, one.sha256, one.name, offset))
        file.seek(offset + one.size)
        _padding(path, file, one.size)
    if lacking := [name for name in _MOST if name not in texts]:
        raise _refusal(path, f"{', '.join(lacking)} is missing")
    if file.read(_PIECE).strip(b"\0"):
        raise _refusal(path, "there is more in it than it lists")
    return Packed(path, hashlib.sha256(head).hexdigest(), about, texts, tuple(files))


def _header(path: Path, file: IO[bytes], name: str, size: int | None) -> int:
    """The size of the next member, which must be this one."""
    try:
        info = tarfile.TarInfo.frombuf(file.read(_BLOCK), "utf-8", "strict")
    except (tarfile.HeaderError, UnicodeDecodeError) as error:
        raise _refusal(path, f"where {name} is expected: {error}") from None
    if info.name != name or info.type not in (tarfile.REGTYPE, tarfile.AREGTYPE) or info.size < 0:
        raise _refusal(path, f"where {name} is expected is something else")
    if size is not None and info.size != size:
        raise _refusal(path, f"{name} has another size than it lists")
    return info.size


def _body(path: Path, file: IO[bytes], name: str, most: int, size: int | None) -> bytes:
    length = _header(path, file, name, size)
    if length > most:
        raise _refusal(path, f"{name} is longer than {most} bytes")
    data = file.read(length)
    if len(data) != length:
        raise _refusal(path, "its end is missing")
    _padding(path, file, length)
    return data


def _padding(path: Path, file: IO[bytes], length: int) -> None:
    """Up to the next block there is nothing, in which nothing can be hidden either."""
    if file.read(-length % _BLOCK).strip(b"\0"):
        raise _refusal(path, "there is more in it than it lists")


def _listed(path: Path, about: Any) -> list[Member]:
    """The members by the first one's list: texts once each, then files."""
    rows = about.get("members") if isinstance(about, dict) and about.get("schema") == 1 else None
    if not isinstance(rows, list) or len(rows) > _MOST_FILES:
        raise _refusal(path, f"{ABOUT} lists no members")
    found: list[Member] = []
    for row in rows:
        match row:
            case {"member": str(member), "size": int(size), "sha256": str(sha256), "name": str(name)}:
                found.append(Member(member, size, sha256, name))
            case _:
                raise _refusal(path, f"{ABOUT}: a member without name, size and hash")
    for one in found:
        text, one_file = (
            one.member in _MOST and not one.name,
            _FILE.fullmatch(one.member) and _NAME.fullmatch(one.name),
        )
        if not (text or one_file) or one.size < 0 or not _SHA256.fullmatch(one.sha256):
            raise _refusal(path, f"{ABOUT} lists what no hand-over has")
    names = [one.name or one.member for one in found]
    if len({name.casefold() for name in names}) != len(names) or len({one.member for one in found}) != len(
        found
    ):
        raise _refusal(path, f"{ABOUT} lists something twice")
    return found


def unpack(packed: Packed, folder: Path, prefix: str) -> list[Path]:
    """Put the files of a hand-over into a folder, 0600 each, whole or not at all. One that is there already, and is
    the same, stays.

    :param prefix: what the name of each must begin with.
    :raises UsageError: a name is none of that, another file has it, or one is not what was packed.
    :raises OSError: the disk does not take it.
    """
    if wrong := [one.name for one in packed.files if not one.name.startswith(prefix)]:
        raise _refusal(packed.path, f"{wrong[0]} is no file of this cluster")
    made = []
    with packed.path.open("rb") as source:
        for one in sorted(
            packed.files, key=lambda member: member.name.endswith(".json")
        ):  # a manifest proves the rest
            target = folder / one.name
            if not _is_there(target, one):
                source.seek(one.offset)
                with _arriving(target) as file:
                    _copy(packed.path, source, file, one)
            made.append(target)
    return made


def _is_there(target: Path, one: Member) -> bool:
    if not os.path.lexists(target):
        return False
    if target.is_symlink() or not target.is_file() or _member(0, target).sha256 != one.sha256:
        raise UsageError(
            f"{target}: another file of that name is there",
            remedy=f"move it away: ls -l {shlex.quote(str(target))}",
        )
    return True


@contextmanager
def _arriving(target: Path) -> Iterator[IO[bytes]]:
    descriptor, part = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        Path(part).replace(target)
        sync_dir(target.parent)
    except BaseException:
        with suppress(OSError):
            Path(part).unlink()
        raise


def _copy(path: Path, source: IO[bytes], target: IO[bytes], one: Member) -> None:
    digest, left = hashlib.sha256(), one.size
    while left and (piece := source.read(min(_PIECE, left))):
        digest.update(piece)
        target.write(piece)
        left -= len(piece)
    if left or digest.hexdigest() != one.sha256:
        raise _refusal(path, f"{one.name} is not what was packed")
