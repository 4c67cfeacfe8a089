"""``ksctl_images.zip``, whoever made it: the one program in it for this machine, and nothing else.

Names in it are looked at and never used as paths. What an honest zip of three programs and an example needs is far
below every limit here.
"""

from __future__ import annotations

import platform
import re
import stat
import sys
import zipfile
import zlib
from collections.abc import Sequence
from typing import IO, BinaryIO

NAME = "ksctl_images.zip"
MOST_ENTRIES = 500
MOST_DIRECTORY = 2**20  # bytes of the list of entries
MOST_PROGRAM = 256 * 2**20  # bytes; ksctl has some 25 MB
MOST_RATIO = 100  # a program becomes a third; a bomb becomes a thousandth
_PIECE = 65_536
_ENCRYPTED = 0x1

_SYSTEMS = {
    "linux": re.compile(r"(?<![a-z])linux"),
    "darwin": re.compile(r"(?<![a-z])(?:darwin|mac(?:osx?)?(?![a-z]))"),
    "win": re.compile(r"(?<![a-z])win"),
}
_MACHINES = {
    "arm64": re.compile(r"arm64|aarch64|armv8"),
    "amd64": re.compile(r"amd64|x86[-_]?64|x64"),
    "386": re.compile(r"(?<![a-z0-9])(?:i?386|i686|x86)(?![-_]?64)"),
    "arm": re.compile(r"(?<![a-z])arm(?!64|v8)"),
}
_OTHER = re.compile(r"\.(?:ya?ml|json|txt|md|html?|pdf|sha\d*|md5|asc|sig|pem|zip|t?gz|tar|bz2|xz)$")
_ELF = {62: "amd64", 183: "arm64", 3: "386", 40: "arm"}  # e_machine
_MACH = {0x01000007: "amd64", 0x0100000C: "arm64"}  # cputype


class ZipError(Exception):
    """It is not used, and why."""


def this_machine() -> tuple[str, str]:
    """Return (system, machine) in the words of the zip: linux, darwin or win; amd64, arm64 or another."""
    system = {"darwin": "darwin", "win32": "win"}.get(sys.platform, "linux")
    return system, _machine_in(platform.machine().lower()) or platform.machine().lower()


def take_out(zipped: BinaryIO, target: BinaryIO, system: str, machine: str) -> str:
    """Write the program for a platform to ``target`` and return its name in the zip.

    :raises ZipError: the zip is damaged or dishonest, or has none.
    :raises OSError: ``target`` takes no more.
    """
    try:
        with zipfile.ZipFile(_Listed(zipped)) as archive:
            entry = choose(_entries(archive), system, machine)
            with archive.open(entry) as packed:
                _copy(packed, target, entry, system, machine)
            return entry.filename
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise ZipError(f"it is damaged: {error}") from error
    except (NotImplementedError, RuntimeError, ValueError, LookupError) as error:
        raise ZipError(f"it cannot be read: {error}") from error


class _Listed:
    """A file of which no piece is read at once that is larger than a list of entries may be."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.seek, self.tell, self.seekable = file.seek, file.tell, file.seekable

    def read(self, count: int = -1) -> bytes:
        if count > MOST_DIRECTORY:
            raise ZipError(f"its list of entries has more than {MOST_DIRECTORY} bytes")
        return self._file.read(MOST_DIRECTORY if count < 0 else count)


def _entries(archive: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    entries = archive.infolist()
    if len(entries) > MOST_ENTRIES:
        raise ZipError(f"it has {len(entries)} entries, and at most {MOST_ENTRIES} are taken")
    for entry in entries:
        parts = re.split(r"[/\\]", entry.filename)
        if ".." in parts or not parts[0] or ":" in parts[0] or "\0" in entry.orig_filename:
            raise ZipError(f"an entry is called {entry.filename[:80]!r}, as none of an honest zip is")
    return entries


def choose(entries: Sequence[zipfile.ZipInfo], system: str, machine: str) -> zipfile.ZipInfo:
    """Return the entry of the program for a platform, by its name or its folder's.

    :raises ZipError: there is none, or more than one fits; the entry is none that is taken out.
    """
    programs = [entry for entry in entries if _is_program(entry)]
    of_system = [entry for entry in programs if _system_in(entry.filename) == system]
    if not of_system:  # one that is called ksctl and nothing else
        of_system = [entry for entry in programs if not _system_in(entry.filename)]
    wanted = [machine, "amd64"] if system != "linux" else [machine]  # what is not Linux runs those too
    for one in wanted:
        fitting = [entry for entry in of_system if (_machine_in(entry.filename.lower()) or "amd64") == one]
        if len(fitting) == 1:
            return _honest(fitting[0])
        if fitting:
            raise ZipError(f"more than one in it is for {system} {one}: {_listed(fitting)}")
    raise ZipError(f"no ksctl for {system} {machine} is in it; it has {_listed(entries)}")


def _is_program(entry: zipfile.ZipInfo) -> bool:
    name = entry.filename.lower().rsplit("/", 1)[-1]
    return "ksctl" in name and not entry.is_dir() and not _OTHER.search(name) and not name.startswith(".")


def _listed(entries: Sequence[zipfile.ZipInfo]) -> str:
    names = [entry.filename[:60] for entry in entries]
    more = f" and {len(names) - 8} more" if len(names) > 8 else ""
    return (", ".join(names[:8]) or "nothing") + more


def _system_in(name: str) -> str:
    plain = name.lower()
    return next((system for system, pattern in _SYSTEMS.items() if pattern.search(plain)), "")


def _machine_in(name: str) -> str:
    return next((machine for machine, pattern in _MACHINES.items() if pattern.search(name)), "")


def _honest(entry: zipfile.ZipInfo) -> zipfile.ZipInfo:
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if kind not in (0, stat.S_IFREG):
        raise ZipError(f"{entry.filename[:80]} in it is a link or a device, and no program")
    if entry.flag_bits & _ENCRYPTED:
        raise ZipError(f"{entry.filename[:80]} in it is encrypted")
    if entry.file_size > MOST_PROGRAM:
        raise ZipError(f"{entry.filename[:80]} has {entry.file_size} bytes; at most {MOST_PROGRAM} are taken")
    if entry.file_size > MOST_RATIO * max(entry.compress_size, 1):
        raise ZipError(
            f"{entry.filename[:80]} becomes {entry.file_size} bytes from {entry.compress_size}: no program does"
        )
    return entry


def _copy(packed: IO[bytes], target: BinaryIO, entry: zipfile.ZipInfo, system: str, machine: str) -> None:
    length = 0
    while piece := packed.read(_PIECE):  # the last one checks the CRC
        if not length:
            _recognise(piece, entry.filename[:80], system, machine)
        length += len(piece)
        if length > min(entry.file_size, MOST_PROGRAM):
            raise ZipError(f"{entry.filename[:80]} in it is longer than the zip says")
        target.write(piece)
    if not length:
        raise ZipError(f"{entry.filename[:80]} in it is empty")


def _recognise(start: bytes, name: str, system: str, machine: str) -> None:
    """Refuse what this machine cannot run, whatever it is called. A script is as good as its interpreter."""
    if start[:2] == b"#!":
        return
    found, kind = _kind_of(start)
    if not found:
        raise ZipError(f"{name} in it is no program: it begins with {start[:8]!r}")
    runs = machine if system == "linux" else kind  # elsewhere the system may translate it
    if found != system or (kind and kind != runs):
        raise ZipError(
            f"{name} in it is a program for {found} {kind}, and this machine is {system} {machine}"
        )


def _kind_of(start: bytes) -> tuple[str, str]:
    """(system, machine) of a program by its first bytes; empty where it is none, or does not say."""
    if start[:4] == b"\x7fELF" and len(start) >= 20:
        number = int.from_bytes(start[18:20], "big" if start[5] == 2 else "little")
        return "linux", _ELF.get(number, f"ELF machine {number}")
    if start[:4] == b"\xcf\xfa\xed\xfe":
        return "darwin", _MACH.get(int.from_bytes(start[4:8], "little"), "")
    if start[:4] == b"\xca\xfe\xba\xbe":  # for several machines at once
        return "darwin", ""
    return ("win", "") if start[:2] == b"MZ" else ("", "")
