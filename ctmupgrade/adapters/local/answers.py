"""Questions to this machine that need no program: disk, processes, boot, clock and what is in /proc.

An appliance's shell may lack ``df`` and ``ps``, or refuse them (docs/appliance.md 1.3). The answers have the form that
the programs give them in, so that one parser reads both.
"""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path

import psutil

from ctmupgrade.ports import MOST_ANSWER

_KIB = 1024
CANNOT = (OSError, psutil.Error, UnicodeDecodeError, NotImplementedError)  # then the program itself is asked


def answer_for(argv: tuple[str, ...], home: Path) -> str | None:
    """Return what a program would say to ``argv``; None where it must be asked itself.

    :param home: the folder that ``.`` stands for.
    :raises OSError: this machine does not tell (or another of :data:`CANNOT`).
    """
    match argv:
        case ("df", "-P", "-k", *places) if places:
            return _free_space([home / place for place in places])
        case ("ps", "-eo", "args"):
            return "\n".join(("COMMAND", *(" ".join(argv) for argv in processes()))) + "\n"
        case ("cat", "/proc/stat"):
            return f"btime {int(psutil.boot_time())}\n"
        case ("cat", path) if path.startswith("/proc/"):
            return _content(path)
        case ("date", "+%s.%N"):
            return "{}.{:09}\n".format(*divmod(time.time_ns(), 10**9))
        case _:
            return None


def _content(path: str) -> str:
    with Path(path).open("rb") as file:
        return file.read(MOST_ANSWER).decode("utf-8")


def _free_space(places: list[Path]) -> str:
    lines = ["Filesystem 1024-blocks Used Available Capacity Mounted on"]
    for place in places:
        usage = psutil.disk_usage(str(place))
        sizes = f"{usage.total // _KIB} {usage.used // _KIB} {usage.free // _KIB}"
        lines.append(f"- {sizes} {round(usage.percent)}% {_mount_of(place)}")
    return "\n".join(lines) + "\n"


def _mount_of(place: Path) -> Path:
    real = place.resolve()
    return next((one for one in (real, *real.parents) if one.is_mount()), real)


def processes() -> list[tuple[str, ...]]:
    """Return the command line of every process that shows one; those that end meanwhile are left out."""
    found: list[tuple[str, ...]] = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if argv := process.cmdline():
                found.append(tuple(argv))
    return found
