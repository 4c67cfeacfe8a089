"""Runs programs and says what they took; compares two of them in pairs, so that noise meets both."""

from __future__ import annotations

import os
import statistics
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

MORE = 1 << 30  # bytes
MEMORY = 150.0  # MiB, for every line


@dataclass(frozen=True, slots=True)
class Took:
    """Wall and processor (user + system) seconds, the largest process in MiB, and the exit code, the highest."""

    wall: float
    cpu: float
    peak: float
    code: int = 0


@dataclass(frozen=True, slots=True)
class Result:
    """A line of the table: ours against theirs. ``ratio`` is what the issue's limit is about."""

    name: str
    beside: str
    wanted: str
    ratios: tuple[float, ...]
    ours: tuple[Took, ...]
    theirs: tuple[Took, ...]
    reached: bool
    note: str = ""

    @property
    def median(self) -> float:
        return statistics.median(self.ratios)

    @property
    def peak(self) -> float:
        """MiB of our largest process in any run; 0 where nothing ran."""
        return max((took.peak for took in self.ours), default=0.0)

    def noting(self, text: str) -> Result:
        """The same with more in its note."""
        return replace(self, note="; ".join(part for part in (self.note, text) if part))

    def missed(self, *why: str) -> Result:
        """The same, not reached where there is a reason, which the note says then."""
        if not why:
            return self
        return replace(self, reached=False, note="; ".join(part for part in (*why, self.note) if part))

    def within(self, memory: float = MEMORY) -> Result:
        """The same, not reached where a process of ours took more than ``memory`` MiB."""
        return self.missed(*([f"more than {memory:g} MiB of memory"] if self.peak > memory else []))


def run(
    argv: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    ok: Sequence[int] = (0,),
    out: Path | None = None,
) -> Took:
    """One run. :param out: where its standard output goes; it is for nobody otherwise.

    :raises RuntimeError: it ended with a code that is not in ``ok``.
    """
    if out is None:
        return together([argv], env=env, ok=ok)
    with out.open("wb") as file:
        return together([argv], env=env, ok=ok, out=file.fileno())


def together(
    commands: Sequence[Sequence[str]],
    *,
    env: Mapping[str, str] | None = None,
    ok: Sequence[int] = (0,),
    out: int = subprocess.DEVNULL,
) -> Took:
    """Several programs at once, until the last has ended."""
    began = time.monotonic()
    children = [
        subprocess.Popen(argv, env=env, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.PIPE)
        for argv in commands
    ]
    cpu = peak = 0.0
    for child, argv in zip(children, commands, strict=True):
        said = child.stderr.read() if child.stderr else b""
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)  # so that Popen does not wait again
        cpu += usage.ru_utime + usage.ru_stime
        peak = max(peak, usage.ru_maxrss / 1024)
        if child.returncode not in ok:
            text = said.decode("utf-8", "replace")[-2000:]
            raise RuntimeError(f"{' '.join(argv)[:300]} ended with {child.returncode}: {text}")
    code = max(child.returncode for child in children)
    return Took(time.monotonic() - began, cpu, peak, code)


def warm(folder: Path, size: int) -> None:
    """Puts as much memory at the kernel's disposal as a run is about to fill with files, and somewhat more, for what
    was freed last is not always what is given out first.

    A virtual machine's host may take back what was free for two or three seconds. Getting a GiB anew then takes
    2.7 s instead of 0.4 (measured here), as long as sending it does, and would meet whoever comes after a pause.
    """
    path, block = folder / "warm", bytes(1 << 20)
    with path.open("wb", buffering=0) as file:
        for _ in range(0, size + MORE, len(block)):
            file.write(block)
    path.unlink()


def compare(
    name: str, beside: str, limit: float, ours: Callable[[], Took], theirs: Callable[[], Took], runs: int, *,
    faster: bool = False, by_cpu: bool = False, note: str = "",
) -> Result:  # fmt: skip
    """``runs`` pairs, taking turns in going first.

    :param faster: the ratio is how many times as fast ours is (at least ``limit``); otherwise how many
        times as long it takes (at most ``limit``).
    :param by_cpu: processor instead of wall seconds: for programs that only compute.
    """
    mine: list[Took] = []
    other: list[Took] = []
    for number in range(runs):
        for is_ours in (True, False) if number % 2 else (False, True):
            (mine if is_ours else other).append(ours() if is_ours else theirs())
    pairs = [(a.cpu, b.cpu) if by_cpu else (a.wall, b.wall) for a, b in zip(mine, other, strict=True)]
    ratios = tuple(b / a if faster else a / b for a, b in pairs)
    middle = statistics.median(ratios)
    reached = middle >= limit if faster else middle <= limit
    wanted = f"at least {limit:g}x" if faster else f"at most {limit:g} of its time"
    return Result(name, beside, wanted, ratios, tuple(mine), tuple(other), reached, note).within()
